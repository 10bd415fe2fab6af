import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { BuildEvents } from '@edgesmith/builds/build-events'
import { Notifications } from '@edgesmith/builds/notifications'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import type { Build, BuildPage } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import type { Fleet } from '@edgesmith/contract/fleet'
import type { Problem } from '@edgesmith/contract/problem'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import { SteadyRedis } from '../../../libs/builds/test/steady-redis.ts'
import { fetch } from '../../../test/support/as-operator.ts'
import {
  kindOf,
  Objects,
  operations,
  pathOf,
  validBuild,
  validFleet,
  type Operation,
  type Parameters,
} from './api-operations.ts'
import { until } from './fleet-client.ts'
import { startHarness, type Harness } from './harness.ts'

/** How long an answer may take, with time for a busy machine, in milliseconds. */
const soonMs = 6000

/**
 * The operations that do not need Redis: what they read or change is in the object store alone, or is computed. All
 * others are answered with 503.
 */
const withoutRedis = [
  ...['getArtifact', 'getChecksum', 'listArtifactContents', 'getProvenance', 'getSbom', 'verifyArtifact'],
  ...[
    'createDownloadUrl',
    'revokeDownloadUrl',
    'materializeArtifact',
    'downloadArtifact',
    'describeDownload',
  ],
  ...['createUpload', 'getUpload', 'describeResumableUploads', 'getResumableUpload'],
  ...['createValidation', 'listCanvosReleases', 'listReleaseArguments', 'listReleaseKubernetesVersions'],
  ...['listSecrets', 'putSecret', 'getSecret', 'deleteSecret'],
  ...['getRetentionPolicies', 'putRetentionPolicies'],
  ...['listAuditRecords', 'exportAuditRecords', 'listProvenanceKeys', 'getUserDataSchema', 'whoAmI'],
  ...['listApiKeys', 'getApiKey', 'listProjects', 'getProject', 'listTenants', 'getTenant'],
]

/** Bodies with which operations are done, and not refused; those of others are empty objects. */
const bodies: Readonly<Record<string, () => object>> = {
  createBuild: () => validBuild,
  createFleet: () => validFleet(),
  createValidation: () => validBuild,
  createApiKey: () => ({ name: 'made', role: 'viewer' }),
  createProject: () => ({ id: `p-${randomUUID()}` }),
  createTenant: () => ({ id: `t-${randomUUID()}`, name: 'Made' }),
  changeTenant: () => ({ name: 'Changed' }),
  putSecret: () => ({ kind: 'opaque', value: 'a value that nobody guesses' }),
  runRetention: () => ({ dryRun: true }),
}

function requestOf({ operationId, method }: Operation): RequestInit {
  if (['GET', 'HEAD', 'OPTIONS', 'DELETE'].includes(method)) return { method, headers: tus }
  switch (operationId) {
    case 'createUpload':
      return { method, headers: { 'content-type': 'application/octet-stream' }, body: randomUUID() }
    case 'createResumableUpload':
      return { method, headers: { ...tus, 'upload-length': '10' } }
    case 'appendResumableUpload':
      return { method, headers: { ...tus, 'upload-offset': '0', 'content-type': chunkType }, body: '01234' }
    case 'putRetentionPolicies': {
      const headers = { 'content-type': 'application/json', 'if-match': '"0"' }
      return { method, headers, body: JSON.stringify({ policies: [] }) }
    }
    default: {
      const body = JSON.stringify(bodies[operationId]?.() ?? {})
      return { method, headers: { 'content-type': 'application/json' }, body }
    }
  }
}

const tus = { 'tus-resumable': '1.0.0' }
const chunkType = 'application/offset+octet-stream'

const ways = {
  'does not answer': [
    (server: SteadyRedis) => {
      server.pause()
    },
    (server: SteadyRedis) => {
      server.resume()
    },
  ],
  'was killed': [(server: SteadyRedis) => server.kill(), (server: SteadyRedis) => server.start()],
} as const

/** Answers that are no refusals for now: it is done, or what was asked for cannot be. */
const isAnswer = ({ ok, status }: Response) => ok || [409, 412, 422].includes(status)

async function assertRefusedForNow(response: Response): Promise<void> {
  assert.equal(response.status, 503, await response.clone().text())
  assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  const { type } = (await response.json()) as Problem
  assert.equal(type, 'urn:edgesmith:problem:upstream-unavailable')
}

/** The gateway, on a Redis that can be taken away. */
async function openStage(): Promise<AsyncDisposable & { server: SteadyRedis; harness: Harness }> {
  await using stack = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-away-'))
  stack.defer(() => rm(directory, { recursive: true }))
  const server = stack.use(await SteadyRedis.open(directory))
  const harness = stack.use(await startHarness({ redis: server }))
  const opened = stack.move()
  return { server, harness, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** What writes events as a worker does. */
function openWriter(server: SteadyRedis, { stores }: Harness): AsyncDisposable & Pick<BuildEvents, 'append'> {
  const onError = () => undefined
  const redis = openRedis(server.url, { patience: 'endless', name: 'test', onError })
  const notifications = new Notifications(redis, onError)
  const events = new BuildEvents({ redis, notifications, stores })
  return {
    append: (...given) => events.append(...given),
    async [Symbol.asyncDispose]() {
      await notifications[Symbol.asyncDispose]()
      await closeRedis(redis)
    },
  }
}

/** Follows a build to its end as an `EventSource` does, and keeps the ids of its events. */
async function follow(url: string, seen: string[]): Promise<void> {
  for (;;) {
    const last = seen.at(-1)
    try {
      const response = await fetch(url, { headers: last === undefined ? {} : { 'last-event-id': last } })
      const events = response.body
        ?.pipeThrough(new TextDecoderStream())
        .pipeThrough(new EventSourceParserStream())
      if (response.status !== 200 || events === undefined) continue
      for await (const { id } of events) seen.push(id ?? '')
      return
    } catch (error) {
      // The stream broke off.
      if (!(error instanceof TypeError)) throw error
    }
  }
}

const isReady = (harness: Harness) =>
  until(
    () => fetch(`${harness.url}/readyz`),
    ({ status }) => status === 200,
  )

for (const [how, [goAway, comeBack]] of Object.entries(ways)) {
  describe(`The API while Redis ${how}`, { timeout: 300_000 }, () => {
    const stack = new AsyncDisposableStack()
    let server: SteadyRedis
    let harness: Harness
    let signedUrl: string
    const made = new Map<Operation, Parameters>()

    before(async () => {
      const stage = stack.use(await openStage())
      server = stage.server
      harness = stage.harness
      const objects = new Objects(harness)
      const own = operations.filter((operation) => kindOf(operation) !== 'downloads')
      await Promise.all(own.map(async (operation) => made.set(operation, await objects.makeFor(operation))))
      signedUrl = await objects.makeSignedUrl()
      await goAway(server)
    })
    after(() => stack.disposeAsync())

    async function ask(operation: Operation, patienceMs: number): Promise<Response> {
      const parameters = made.get(operation)
      const url = parameters === undefined ? signedUrl : `${harness.url}${pathOf(operation, parameters)}`
      return fetch(url, { ...requestOf(operation), signal: AbortSignal.timeout(patienceMs) })
    }

    describe('soon', { concurrency: 16 }, () => {
      for (const operation of operations) {
        const { operationId, method } = operation
        const goesOn = withoutRedis.includes(operationId)
        it(`${goesOn ? 'answers' : 'refuses for now'} ${operationId}`, async () => {
          const response = await ask(operation, soonMs)
          if (goesOn) {
            assert.ok(isAnswer(response), await response.clone().text())
            await response.body?.cancel()
          } else if (method === 'HEAD') {
            assert.equal(response.status, 503)
            assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
          } else await assertRefusedForNow(response)
        })
      }
    })

    it('answers everything again once it is back', async () => {
      await comeBack(server)
      await isReady(harness)
      // Locks of uploads that were taken for requests that had gone have to run out.
      const answers = operations.map(async (operation) => {
        const response = await ask(operation, 30_000)
        await response.body?.cancel()
        assert.ok(response.status < 500, `${operation.operationId}: ${response.status}`)
      })
      await Promise.all(answers)
    })

    it('leaves no gap in an event stream that was open', async () => {
      await using writer = openWriter(server, harness)
      const headers = { 'content-type': 'application/json' }
      const created = { method: 'POST', headers, body: JSON.stringify(validBuild) }
      const { id } = (await (await fetch(`${harness.url}/v1/builds`, created)).json()) as Build
      const line = (text: string): BuildEvent => ({ type: 'log', at: new Date().toISOString(), line: text })
      const url = `${harness.url}/v1/builds/${id}/events`
      const seen: string[] = []
      const following = follow(url, seen)
      await writer.append(id, [line('before')])
      await until(
        () => Promise.resolve(seen),
        ({ length }) => length === 2,
      )
      await goAway(server)
      const written = writer.append(id, [line('meanwhile')])
      const refused = await fetch(`${harness.url}/v1/builds/${id}`)
      assert.equal(refused.status, 503)
      await comeBack(server)
      await written
      await writer.append(id, [line('afterwards')])
      await until(
        () => fetch(`${harness.url}/v1/builds/${id}/cancel`, { method: 'POST' }),
        ({ status }) => status === 202,
      )
      await following
      const all: string[] = []
      await follow(url, all)
      assert.equal(all.length, 5)
      assert.deepEqual(seen, all)
    })
  })
}

describe('A request whose answer is lost with Redis', { timeout: 120_000 }, () => {
  const stack = new AsyncDisposableStack()
  let server: SteadyRedis
  let harness: Harness
  before(async () => {
    const stage = stack.use(await openStage())
    server = stage.server
    harness = stage.harness
  })
  after(() => stack.disposeAsync())

  const get = async <T>(path: string) => (await (await fetch(`${harness.url}${path}`)).json()) as T

  const made: Record<string, Set<string>> = { builds: new Set(), fleets: new Set() }
  const requests = {
    builds: (label: string) => ({ ...validBuild, labels: { label } }),
    fleets: (label: string) => ({
      ...{ ...validFleet(3), name: label },
      build: { ...validBuild, labels: { label } },
    }),
  } as const
  const whens = { 'before it has done what it was told': 'sent', 'before it says so': 'done' } as const

  for (const [kind, bodyOf] of Object.entries(requests)) {
    for (const [how, when] of Object.entries(whens)) {
      it(`is done once when it is repeated with its key: ${kind}, and Redis dies ${how}`, async () => {
        const label = `${kind}-${when}`
        const post = () =>
          fetch(`${harness.url}/v1/${kind}`, {
            method: 'POST',
            headers: { 'content-type': 'application/json', 'idempotency-key': label },
            body: JSON.stringify(bodyOf(label)),
          })
        const killed = server.killAt(label, when)
        const lost = await post()
        await killed
        await assertRefusedForNow(lost)
        await assertRefusedForNow(await post())
        await server.start()
        const answered = await until(post, ({ status }) => status !== 503)
        assert.equal(answered.status, 202, await answered.clone().text())
        assert.equal(answered.headers.get('idempotent-replayed'), 'true')
        const { id } = (await answered.json()) as { id: string }
        const again = await post()
        assert.deepEqual([again.status, ((await again.json()) as { id: string }).id], [202, id])
        // One that is recorded, and one that is stored.
        if (kind === 'fleets') assert.equal((await get<Fleet>(`/v1/fleets/${id}`)).builds.queued, 3)
        const { items } = await get<BuildPage>(`/v1/builds?label=label%3D${label}`)
        assert.equal(items.length, kind === 'builds' ? 1 : 3)
        const stored = await Array.fromAsync(harness.store.list(`${kind}/`), ({ key }) => key.split('/')[1])
        made[kind]?.add(id)
        assert.deepEqual(new Set(stored), made[kind], 'nothing else was accepted')
      })
    }
  }
})
