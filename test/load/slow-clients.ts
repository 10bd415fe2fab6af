import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { json } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { dataKey, recordImage } from '@edgesmith/artifacts/artifacts'
import type { Build } from '@edgesmith/contract/build'
import { defaultProject } from '@edgesmith/contract/project'
import { makeManifest } from '@edgesmith/manifest/manifest'
import { v7 as uuidv7 } from 'uuid'
import { Random } from '../faults/random.ts'
import { userDataOf } from '../faults/target.ts'
import { followEvents } from './event-stream.ts'
import { FaultsFound } from './faults-found.ts'
import { round } from './figures.ts'
import { specOf } from './load-client.ts'
import { openLoadStack, type LoadStack } from './load-stack.ts'
import { LoadTenant } from './load-tenant.ts'
import { formOf, MeasuredHttp } from './measured-http.ts'
import { memoryOf } from './process-watch.ts'

const MiB = 1024 ** 2
/** How often a slow client sends or reads, in milliseconds. */
const beatMs = 250
const sampleMs = 500
/** The image that is downloaded: so large that no socket's buffers hold it. */
const imageBlocks = 64
const blockSize = 16 * MiB

export type SlowOptions = {
  /** Of each kind. */
  readonly clients: number
  readonly seconds: number
  /** Bytes in a second that an upload sends and a download reads. */
  readonly bytesPerSecond: number
}

export type SlowReport = {
  readonly faults: readonly string[]
  /** Resident memory of the processes before, and at most while the clients were there, in MiB. */
  readonly memory: Readonly<Record<'gateway' | 'artifact', { before: number; most: number }>>
  readonly uploadedMiB: number
  readonly downloadedMiB: number
}

/**
 * Lets uploads come slowly, downloads be read slowly, and event streams wait for a build that tells nothing, all
 * at the same time; watches the memory of the services that they hold on to.
 */
export async function runSlowClients(options: SlowOptions): Promise<SlowReport> {
  await using ground = await openLoadStack()
  await using http = new MeasuredHttp()
  const { stack } = ground
  const id = 'patient'
  const { tenant } = await LoadTenant.make(http, ground, { id, clients: 0 })
  const faults = new FaultsFound()
  const image = await storeImage(ground, id)
  const signed = await http.call({
    operation: 'sign url',
    method: 'POST',
    url: `${tenant.url}/v1/artifacts/${image.id}/download-url`,
    headers: { ...tenant.headers, 'content-type': 'application/json' },
    body: Buffer.from('{}'),
  })
  const { url } = JSON.parse(signed.body.toString()) as { url: string }
  const build = await submitHangingBuild(http, tenant)
  await uploadSlowly(tenant, { bytesPerSecond: MiB, seconds: 1 }, 0)
  const memory = {
    gateway: await Watched.begin(stack.pids.gateway),
    artifact: await Watched.begin(stack.pids.artifact),
  }

  const totals = { uploaded: 0, downloaded: 0 }
  const each = Array.from({ length: options.clients }, (_, index) => index)
  const guarded = (what: string, work: Promise<void>) =>
    work.catch((error: unknown) => {
      faults.add(what, error)
    })
  const streams = each.map((index) =>
    guarded(
      `event stream ${index}`,
      (async () => {
        const events = `${tenant.url}/v1/builds/${build.id}/events`
        const { states } = await followEvents(http, { url: events, headers: tenant.headers })
        assert.equal(states.at(-1), 'canceled')
      })(),
    ),
  )
  const transfers = each.flatMap((index) => [
    guarded(
      `upload ${index}`,
      uploadSlowly(tenant, options, index + 1).then((bytes) => {
        totals.uploaded += bytes
      }),
    ),
    guarded(
      `download ${index}`,
      readSlowly(url, options, image.block).then((bytes) => {
        totals.downloaded += bytes
      }),
    ),
  ])
  await Promise.race([Promise.all(transfers), stack.lost])
  await http.call({
    operation: 'cancel build',
    method: 'POST',
    url: `${tenant.url}/v1/builds/${build.id}/cancel`,
    headers: tenant.headers,
  })
  await Promise.race([Promise.all(streams), stack.lost])
  return {
    faults: faults.texts,
    memory: { gateway: memory.gateway.end(), artifact: memory.artifact.end() },
    uploadedMiB: round(totals.uploaded / MiB),
    downloadedMiB: round(totals.downloaded / MiB),
  }
}

/** An image of many times the same block. */
async function storeImage({ stores }: LoadStack, tenant: string): Promise<{ id: string; block: Buffer }> {
  const store = stores.of({ tenant, project: defaultProject })
  const id = uuidv7()
  const block = new Random(1).bytes(blockSize)
  await store.put(dataKey(id), block)
  const extent = { object: dataKey(id), offset: 0, length: blockSize }
  const manifest = makeManifest(Array.from({ length: imageBlocks }, () => extent))
  await recordImage(store, { id, buildId: uuidv7(), name: 'large.iso', manifest })
  return { id, block }
}

/** A build that runs, and tells nothing, until it is canceled. */
async function submitHangingBuild(http: MeasuredHttp, tenant: LoadTenant): Promise<Build> {
  const spec = specOf(tenant, { cache: 'bypass' }, 'hang')
  const { body, contentType } = formOf({
    spec: { fileName: 'spec.json', content: Buffer.from(JSON.stringify(spec)) },
    userData: { fileName: 'user-data', content: userDataOf('patient') },
  })
  const answer = await http.call({
    operation: 'submit build',
    method: 'POST',
    url: `${tenant.url}/v1/builds`,
    headers: { ...tenant.headers, 'content-type': contentType },
    body,
  })
  return JSON.parse(answer.body.toString()) as Build
}

type Pace = Pick<SlowOptions, 'seconds' | 'bytesPerSecond'>

/** Sends a file a bit at a time; answers its size. */
async function uploadSlowly({ url, headers }: LoadTenant, pace: Pace, seed: number): Promise<number> {
  const beats = Math.round((pace.seconds * 1000) / beatMs)
  const random = new Random(seed)
  const piece = random.bytes(Math.round((pace.bytesPerSecond * beatMs) / 1000))
  const hash = createHash('sha256')
  const sent = request(`${url}/v1/uploads`, {
    method: 'POST',
    headers: {
      ...headers,
      'content-type': 'application/octet-stream',
      'content-length': beats * piece.length,
    },
  })
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>
  answered.catch(() => undefined)
  for (let beat = 0; beat < beats; beat += 1) {
    // Each file is another, and every piece of it.
    piece.writeUInt32LE(beat)
    const bytes = Buffer.from(piece)
    hash.update(bytes)
    if (!sent.write(bytes)) await once(sent, 'drain')
    await delay(beatMs)
  }
  sent.end()
  const [response] = await answered
  const upload = (await json(response)) as { id?: string }
  assert.equal(upload.id, `sha256:${hash.digest('hex')}`, `answered ${response.statusCode ?? 0}`)
  return beats * piece.length
}

/** Reads a download a bit at a time, and gives up in the middle of it; answers how much came. */
async function readSlowly(url: string, pace: Pace, block: Buffer): Promise<number> {
  const sent = request(url)
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  assert.equal(response.statusCode, 200)
  let at = 0
  const end = performance.now() + pace.seconds * 1000
  while (performance.now() < end) {
    const allowed = Math.round((pace.bytesPerSecond * beatMs) / 1000)
    for (let left = allowed; left > 0;) {
      const bytes = (response.read(Math.min(left, response.readableLength)) ?? undefined) as
        Buffer | undefined
      if (bytes === undefined) break
      const from = at % blockSize
      const first = bytes.subarray(0, blockSize - from)
      assert.ok(first.equals(block.subarray(from, from + first.length)), `other bytes than recorded at ${at}`)
      at += bytes.length
      left -= bytes.length
    }
    await delay(beatMs)
  }
  sent.destroy()
  assert.ok(at > 0, 'nothing came')
  return at
}

/** The most memory that a process has while it is watched. */
class Watched {
  readonly #before: number
  readonly #timer: NodeJS.Timeout
  #most: number

  private constructor(pid: number, before: number) {
    this.#before = before
    this.#most = before
    this.#timer = setInterval(() => {
      void memoryOf(pid).then(({ resident }) => {
        this.#most = Math.max(this.#most, resident)
      })
    }, sampleMs)
  }

  static async begin(pid: number): Promise<Watched> {
    return new Watched(pid, (await memoryOf(pid)).resident)
  }

  /** In MiB. */
  end(): { before: number; most: number } {
    clearInterval(this.#timer)
    return { before: round(this.#before / MiB), most: round(this.#most / MiB) }
  }
}
