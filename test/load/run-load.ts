import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { pipeline } from 'node:stream/promises'
import type { Build } from '@edgesmith/contract/build'
import { defaultProject } from '@edgesmith/contract/project'
import { findUpload } from '@edgesmith/uploads/uploads'
import { Random } from '../faults/random.ts'
import { FaultsFound } from './faults-found.ts'
import { quantile, round } from './figures.ts'
import { Done, LoadClient } from './load-client.ts'
import { openLoadStack, type LoadStack } from './load-stack.ts'
import { LoadTenant } from './load-tenant.ts'
import { MeasuredHttp, reads, type Operation } from './measured-http.ts'
import { ProcessWatch, type ProcessFigures } from './process-watch.ts'
import { Contents } from './transfers.ts'

const tenantCount = 5
/** ISOs of each tenant whose bytes the clients know. */
const samplesOfTenant = 2
/** Requests at a time that look afterwards whether everything is there. */
const lookers = 8

export type LoadOptions = {
  readonly clients: number
  readonly seconds: number
  readonly seed: number
  /** Mean time between what a client does and what it does next, in milliseconds. */
  readonly thinkMs: number
}

export type LoadReport = {
  /** What was not as it has to be, the first of them in words. */
  readonly faults: readonly string[]
  readonly faultCount: number
  readonly requests: number
  readonly requestsPerSecond: number
  readonly refusals: number
  /** Milliseconds that reads took. */
  readonly reads: Latency
  readonly operations: Readonly<Record<string, Latency>>
  /** Milliseconds that this process, which is all clients, was late; its own part of the latencies. */
  readonly clientDelay: { readonly p50: number; readonly p99: number; readonly most: number }
  readonly done: Done
  readonly processes: Readonly<Record<string, ProcessFigures>>
}

export type Latency = {
  readonly count: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly most: number
}

/**
 * Loads a stack with clients of several tenants that submit builds, follow events, upload, download and look
 * around, and verifies all they were told: bytes of downloads as they come, uploads and builds in the end.
 */
export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  await using ground = await openLoadStack()
  await using http = new MeasuredHttp()
  const { stack } = ground
  const faults = new FaultsFound()
  const done = new Done()
  const contents = new Contents(new Random(options.seed))
  const tenants: LoadTenant[] = []
  const clients: LoadClient[] = []
  for (let index = 0; index < tenantCount; index += 1) {
    const id = `tenant-${index}`
    const own = Math.ceil((options.clients - index) / tenantCount)
    const { tenant, keys } = await LoadTenant.make(http, ground, { id, clients: own })
    tenants.push(tenant)
    for (const [number, key] of keys.entries()) {
      const name = `${id}-client-${number}`
      const random = new Random(options.seed * 100_003 + index * 10_007 + number)
      const client = new LoadClient({
        name,
        tenant,
        key,
        thinkMs: options.thinkMs,
        http,
        random,
        contents,
        faults,
        done,
      })
      if (number === 0) await client.prepare(samplesOfTenant)
      clients.push(client)
    }
  }

  http.latencies.clear()
  using watch = await ProcessWatch.begin(stack.pids)
  const delays = monitorEventLoopDelay({ resolution: 5 })
  delays.enable()
  const until = performance.now() + options.seconds * 1000
  const running = Promise.all(clients.map((client) => client.run(until)))
  running.catch(() => undefined)
  const ended = new Promise((resolve) => setTimeout(resolve, options.seconds * 1000))
  await Promise.race([ended, stack.lost])
  delays.disable()
  const processes = await watch.figures()
  const measured = new Map([...http.latencies].map(([operation, values]) => [operation, [...values]]))
  await Promise.race([running, stack.lost])
  await verifyAll({ ground, http, tenants, faults })

  const all = [...measured.values()].flat()
  return {
    faults: faults.texts,
    faultCount: faults.count,
    requests: all.length,
    requestsPerSecond: round(all.length / options.seconds),
    refusals: http.refusals,
    reads: latencyOf(reads.flatMap((operation) => measured.get(operation) ?? [])),
    operations: Object.fromEntries(
      [...measured].map(([operation, values]): [Operation, Latency] => [operation, latencyOf(values)]),
    ),
    clientDelay: {
      p50: round(delays.percentile(50) / 1e6),
      p99: round(delays.percentile(99) / 1e6),
      most: round(delays.max / 1e6),
    },
    done,
    processes,
  }
}

type Verification = {
  readonly ground: LoadStack
  readonly http: MeasuredHttp
  readonly tenants: readonly LoadTenant[]
  readonly faults: FaultsFound
}

/** Every build that was accepted has ended as it may, and of every upload the bytes are there. */
async function verifyAll({ ground, http, tenants, faults }: Verification): Promise<void> {
  const looks: { what: string; look: () => Promise<void> }[] = []
  for (const tenant of tenants) {
    const { headers } = tenant
    for (const [id, ends] of tenant.accepted) {
      const look = async () => {
        const url = `${tenant.url}/v1/builds/${id}`
        const { body } = await http.call({ operation: 'get build', url, headers })
        const { state, failure } = JSON.parse(body.toString()) as Build
        assert.ok(ends.includes(state), `it is ${state}: ${JSON.stringify(failure)}`)
      }
      looks.push({ what: `the build ${id}`, look })
    }
    const store = ground.stores.of({ tenant: tenant.id, project: defaultProject })
    for (const [id, size] of tenant.uploads) {
      const look = async () => {
        const url = `${tenant.url}/v1/uploads/${id}`
        const { body } = await http.call({ operation: 'get upload', url, headers })
        assert.equal((JSON.parse(body.toString()) as { size: number }).size, size)
        const found = await findUpload(store, id)
        assert.ok(found !== undefined, 'it is not in the store')
        const hash = createHash('sha256')
        await pipeline(await store.get(found.objectKey), hash)
        assert.equal(`sha256:${hash.digest('hex')}`, id)
      }
      looks.push({ what: `the upload ${id}`, look })
    }
  }
  const lookAtAll = async () => {
    for (let next = looks.pop(); next !== undefined; next = looks.pop()) {
      const { what, look } = next
      await look().catch((error: unknown) => {
        faults.add(what, error)
      })
    }
  }
  await Promise.all(Array.from({ length: lookers }, lookAtAll))
}

function latencyOf(values: readonly number[]): Latency {
  const at = (part: number) => round(quantile(values, part))
  return { count: values.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), most: at(1) }
}
