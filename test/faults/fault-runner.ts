import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { isEnd, transitions } from '@edgesmith/builds/build-state'
import type { Build } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import { asOperator } from '../support/as-operator.ts'
import { PersistentClient, sha256Of, told, type StoredArtifact } from './client.ts'
import { download, downloadUntil } from './download.ts'
import type { Fault } from './faults.ts'
import { Ground } from './ground.ts'
import { Random } from './random.ts'
import { holdsUserData, targetArguments, userDataOf } from './target.ts'

const MiB = 1024 ** 2

/** How long the builds of a run may take from the end of the fault on, in milliseconds. */
const deadlineMs = 180_000
const pollMs = 150
const uploadSize = 20 * MiB

/** What came of a run. */
export type Outcome = {
  readonly seed: number
  readonly fault: string
  /** When the fault began after the builds were accepted, and how long it lasted, in milliseconds. */
  readonly moment: { readonly afterMs: number; readonly forMs: number }
  readonly ends: readonly string[]
  readonly upload: string
  readonly downloads: { readonly whole: number; readonly breaks: number }
  /** Answers of the API that broke off, and were asked for again. */
  readonly brokenOff: readonly string[]
  readonly seconds: number
}

type Submitted = { readonly build: Build; readonly userData: Buffer }

/** An ISO that was made before anything went wrong. */
type Kept = { readonly artifact: StoredArtifact; readonly bytes: Buffer }

/** Runs builds on one ground while things go wrong, one after the other. */
export class FaultRunner implements AsyncDisposable {
  readonly #ground: Ground
  readonly #client: PersistentClient
  readonly #kept: Kept

  private constructor(ground: Ground, client: PersistentClient, kept: Kept) {
    this.#ground = ground
    this.#client = client
    this.#kept = kept
  }

  /** Starts all that builds need, and builds once, so that all else finds what it left. */
  static async open(): Promise<FaultRunner> {
    await using resources = new AsyncDisposableStack()
    const ground = resources.use(await Ground.open())
    const client = new PersistentClient(() => ground.url)
    const first = await submit(ground, client, 'first')
    const { state, failure } = await awaitEnd(client, first.build.id, Date.now() + deadlineMs)
    assert.equal(state, 'succeeded', JSON.stringify(failure))
    const artifact = imageAmong(await client.artifacts(first.build.id))
    const { bytes } = await download(artifact)
    assert.equal(told(bytes), artifact.recorded)
    resources.move()
    return new FaultRunner(ground, client, { artifact, bytes })
  }

  /**
   * Runs builds while something goes wrong at a moment that the seed chooses, with an upload and downloads
   * under way, and asserts what has to hold whatever goes wrong: every accepted build ends, in time and once,
   * along the declared states; bytes of artifacts are those that are recorded; downloads go on; nothing is
   * left; no service ends by itself; and a build that comes when it is over succeeds.
   */
  async run(fault: Fault, seed: number): Promise<Outcome> {
    const [ground, client] = [this.#ground, this.#client]
    const begun = performance.now()
    const random = new Random(seed)
    const moment = { afterMs: random.between(0, 3500), forMs: durationOf(random) }
    const isMet = random.next() < 0.5
    if (fault.holdsBuilder === true) ground.signal('builder', 'SIGSTOP')
    const first = await submit(ground, client, `${seed}-a`, fault)
    const accepted = [first]
    if (isMet) accepted.push(await submit(ground, client, `${seed}-b`))
    const bytes = random.bytes(uploadSize)
    const uploading = uploadSlowly(ground.url, bytes)
    let isOver = false
    const downloading = downloadUntil(this.#kept.artifact, () => isOver)
    // Both are waited for below, and what is thrown before is told first.
    for (const task of [uploading, downloading]) task.catch(() => undefined)
    try {
      if (fault.holdsBuilder !== true) await delay(moment.afterMs)
      const recover = await fault.inject?.(ground, {
        buildId: first.build.id,
        userData: first.userData,
        random,
      })
      if (fault.holdsBuilder === true) ground.signal('builder', 'SIGCONT')
      await delay(moment.forMs)
      await recover?.()
    } finally {
      isOver = true
    }
    const last = await submit(ground, client, `${seed}-c`)

    const ends: string[] = []
    for (const submitted of [...accepted, last]) {
      const build = await awaitEnd(client, submitted.build.id, Date.now() + deadlineMs)
      ends.push(build.failure?.type.replace(/.*:/, '') ?? build.state)
      if (submitted === last)
        assert.equal(build.state, 'succeeded', `after the fault: ${JSON.stringify(build.failure)}`)
      else assertEnd(build, fault, submitted === first)
      assertEvents(await client.events(build.id), build)
      if (build.state === 'succeeded') await this.#assertArtifacts(build, submitted)
    }
    await fault.damages?.(ground, first.build.id)
    if (fault.damages !== undefined) await assertDamaged(imageAmong(await client.artifacts(first.build.id)))
    const upload = await uploading
    if (upload.id !== undefined) assert.equal(upload.id, `sha256:${sha256Of(bytes)}`)
    const downloads = await downloading
    for (const { bytes: served } of downloads)
      assert.ok(served.equals(this.#kept.bytes), 'another ISO was served')
    const breaks = downloads.reduce((sum, { breaks: some }) => sum + some, 0)
    if (fault.breaksDownloads !== true) assert.equal(breaks, 0, 'downloads broke off')
    if (fault.leavesParts === true) await ground.removeUnfinishedUploads()
    await assertNothingLeft(ground)
    await ground.assertRunning()
    return {
      ...{ seed, fault: fault.name, moment, ends, upload: upload.told },
      downloads: { whole: downloads.length, breaks },
      brokenOff: client.takeBrokenOff(),
      seconds: Math.round((performance.now() - begun) / 100) / 10,
    }
  }

  /** Keeps the logs of all services. */
  async copyLogs(to: string): Promise<void> {
    await this.#ground.copyLogs(to)
  }

  async #assertArtifacts(build: Build, { userData }: Submitted): Promise<void> {
    const artifacts = await this.#client.artifacts(build.id)
    assert.deepEqual(artifacts.map(({ name }) => name).sort(), ['installer.iso', 'installer.iso.sha256'])
    for (const artifact of artifacts) {
      const { bytes } = await download(artifact)
      assert.equal(told(bytes), artifact.recorded, artifact.name)
      if (artifact.name !== 'installer.iso') continue
      assert.ok(holdsUserData(bytes, this.#ground.target, userData), 'the user-data is its own')
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ground[Symbol.asyncDispose]()
  }
}

/** How long a fault lasts, in milliseconds: mostly a moment, and now and then longer than a worker's locks. */
function durationOf(random: Random): number {
  return random.next() < 0.15 ? random.between(5500, 8000) : random.between(200, 2500)
}

function imageAmong(artifacts: readonly StoredArtifact[]): StoredArtifact {
  const found = artifacts.find(({ name }) => name === 'installer.iso')
  assert.ok(found !== undefined, 'there is an ISO')
  return found
}

async function submit(
  { target }: Ground,
  client: PersistentClient,
  name: string,
  fault?: Fault,
): Promise<Submitted> {
  const userData = userDataOf(`site-${name}`)
  const build = await client.submit(
    {
      canvos: { tag: target.tag },
      target: 'iso',
      arguments: { ...targetArguments, CUSTOM_TAG: fault?.behaviour ?? 'none' },
      inputs: { userData: { upload: await client.upload(userData) } },
      cache: 'bypass',
      timeoutSeconds: fault?.behaviour === 'hang' ? 6 : 100,
    },
    `${name}-${Date.now()}`,
  )
  return { build, userData }
}

async function awaitEnd(client: PersistentClient, id: string, deadline: number): Promise<Build> {
  for (;;) {
    const build = await client.build(id)
    if (isEnd(build.state)) return build
    assert.ok(Date.now() < deadline, `the build ${id} has not ended: it is ${build.state}`)
    await delay(pollMs)
  }
}

/** A build that the fault is not about may be hit by what hits everything, and by nothing else. */
function assertEnd(build: Build, fault: Fault, isItsOwn: boolean): void {
  if (build.state === 'succeeded') {
    assert.ok(fault.mustFail !== true || !isItsOwn, 'the build succeeded')
    return
  }
  const allowed: readonly string[] = fault.mustFail === true && !isItsOwn ? [] : (fault.failures ?? [])
  const code = build.failure?.type.replace(/.*:/, '') ?? ''
  assert.ok(allowed.includes(code), `the build is ${build.state}: ${JSON.stringify(build.failure)}`)
}

/** States follow the declared machine, and end once. */
function assertEvents(events: readonly BuildEvent[], build: Build): void {
  const states = events.flatMap((event) => (event.type === 'state' ? [event.state] : []))
  const line = states.join(', ')
  assert.equal(states[0], 'queued', line)
  for (const [index, state] of states.entries()) {
    const next = states[index + 1]
    if (next === undefined) continue
    const possible: readonly string[] = transitions[state]
    assert.ok(possible.includes(next), `the states were ${line}`)
  }
  assert.equal(states.at(-1), build.state, line)
  assert.equal(states.filter((state) => isEnd(state)).length, 1, `one end: ${line}`)
}

/** What is damaged is told of, or breaks off; it is not served as if it were whole. */
async function assertDamaged({ url, size }: StoredArtifact): Promise<void> {
  let served = 0
  let status = 0
  try {
    const answer = await globalThis.fetch(url)
    status = answer.status
    if (answer.ok) served = (await answer.arrayBuffer()).byteLength
  } catch {
    return
  }
  assert.ok(status >= 500 && served < size, `${status} with ${served} of ${size} bytes`)
}

/** What is being removed is given a moment. */
async function assertNothingLeft(ground: Ground): Promise<void> {
  const deadline = Date.now() + 30_000
  for (;;) {
    const left = await ground.leftovers()
    if (left.length === 0) return
    assert.ok(Date.now() < deadline, `left: ${left.join(', ')}`)
    await delay(pollMs)
  }
}

/** Sends a file a MiB at a time; an upload that breaks off with the gateway is none. */
async function uploadSlowly(url: string, bytes: Buffer): Promise<{ id?: string; told: string }> {
  const chunks = async function* () {
    for (let from = 0; from < bytes.length; from += MiB) {
      yield bytes.subarray(from, from + MiB)
      await delay(150)
    }
  }
  try {
    const answer = await fetch(`${url}/v1/uploads`, {
      method: 'POST',
      headers: { ...asOperator, 'content-type': 'application/octet-stream' },
      body: Readable.toWeb(Readable.from(chunks())) as ReadableStream,
      duplex: 'half',
    })
    const body = (await answer.json()) as { id?: string; type?: string }
    if (!answer.ok) return { told: `${answer.status} ${body.type ?? ''}` }
    return { ...(body.id === undefined ? {} : { id: body.id }), told: 'stored' }
  } catch {
    return { told: 'broken off' }
  }
}
