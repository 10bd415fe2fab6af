import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { isEnd, transitions } from '@edgesmith/builds/build-state'
import type { Build } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import { asOperator } from '../support/as-operator.ts'
import { PersistentClient, sha256Of } from './client.ts'
import type { Fault } from './faults.ts'
import type { Ground } from './ground.ts'
import { Random } from './random.ts'
import { holdsUserData, userDataOf } from './target.ts'

const MiB = 1024 ** 2

/** How long the builds of a run may take from the end of the fault on, in milliseconds. */
const deadlineMs = 120_000
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
  readonly seconds: number
}

type Submitted = { readonly build: Build; readonly userData: Buffer; readonly isAffected: boolean }

/**
 * Runs builds while something goes wrong at a moment that the seed chooses, with an upload under way, and
 * asserts what has to hold whatever goes wrong: every accepted build ends, in time and once, along the
 * declared states; bytes of artifacts are those that are recorded; nothing is left; and all works again.
 */
export async function runWithFault(ground: Ground, fault: Fault, seed: number): Promise<Outcome> {
  const begun = performance.now()
  const random = new Random(seed)
  const client = new PersistentClient(() => ground.url)
  const moment = { afterMs: random.between(0, 3500), forMs: random.between(200, 2500) }
  if (fault.holdsBuilder === true) ground.signal('builder', 'SIGSTOP')
  const builds = [await submit(ground, client, `${seed}-a`, fault)]
  for (let others = random.between(0, 1); others > 0; others -= 1) {
    builds.push(await submit(ground, client, `${seed}-b`))
  }
  const bytes = random.bytes(uploadSize)
  const uploading = uploadSlowly(ground.url, bytes)
  if (fault.holdsBuilder !== true) await delay(moment.afterMs)
  const [first] = builds
  assert.ok(first !== undefined)
  const recover = await fault.inject?.(ground, { buildId: first.build.id, userData: first.userData, random })
  if (fault.holdsBuilder === true) ground.signal('builder', 'SIGCONT')
  await delay(moment.forMs)
  await recover?.()

  const deadline = Date.now() + deadlineMs
  const ended: Build[] = []
  for (const submitted of builds) ended.push(await awaitEnd(client, submitted.build.id, deadline))
  for (const [index, build] of ended.entries()) {
    const submitted = builds[index]
    assert.ok(submitted !== undefined)
    assertEnd(build, submitted.isAffected ? fault : undefined, fault)
    assertEvents(await client.events(build.id), build)
    if (build.state === 'succeeded') await assertArtifacts(client, build, submitted, ground)
  }
  const upload = await uploading
  if (upload.id !== undefined) assert.equal(upload.id, `sha256:${sha256Of(bytes)}`)

  const clean = await submit(ground, client, `${seed}-clean`)
  const last = await awaitEnd(client, clean.build.id, Date.now() + deadlineMs)
  assert.equal(last.state, 'succeeded', `a build without a fault: ${JSON.stringify(last.failure)}`)
  await assertArtifacts(client, last, clean, ground)
  if (fault.leavesParts === true) await ground.removeUnfinishedUploads()
  await assertNothingLeft(ground, [...builds, clean])
  return {
    ...{ seed, fault: fault.name, moment },
    ends: ended.map(({ state, failure }) => failure?.type.replace(/.*:/, '') ?? state),
    upload: upload.told,
    seconds: Math.round((performance.now() - begun) / 100) / 10,
  }
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
      arguments: {
        ARCH: 'amd64',
        OS_DISTRIBUTION: 'ubuntu',
        OS_VERSION: '22.04',
        K8S_DISTRIBUTION: 'k3s',
        ISO_NAME: 'installer',
        CUSTOM_TAG: fault?.behaviour ?? 'none',
      },
      inputs: { userData: { upload: await client.upload(userData) } },
      cache: 'bypass',
      timeoutSeconds: fault?.behaviour === 'hang' ? 6 : 100,
    },
    `${name}-${Date.now()}`,
  )
  return { build, userData, isAffected: fault !== undefined }
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
function assertEnd(build: Build, own: Fault | undefined, fault: Fault): void {
  const told = build.failure?.type.replace(/.*:/, '')
  const allowed = fault.mustFail === true && own === undefined ? [] : (fault.failures ?? [])
  if (build.state === 'succeeded') assert.ok(own?.mustFail !== true, 'the build succeeded')
  else
    assert.ok(
      allowed.some((code) => code === told),
      `the build is ${build.state}: ${JSON.stringify(build.failure)}`,
    )
}

/** States follow the declared machine, and end once. */
function assertEvents(events: readonly BuildEvent[], build: Build): void {
  const states = events.flatMap((event) => (event.type === 'state' ? [event.state] : []))
  const told = states.join(', ')
  assert.equal(states[0], 'queued', told)
  for (const [index, state] of states.entries()) {
    const next = states[index + 1]
    if (next === undefined) continue
    const possible: readonly string[] = transitions[state]
    assert.ok(possible.includes(next), `the states were ${told}`)
  }
  assert.equal(states.at(-1), build.state, told)
  assert.equal(states.filter((state) => isEnd(state)).length, 1, `one end: ${told}`)
}

async function assertArtifacts(
  client: PersistentClient,
  build: Build,
  { userData }: Submitted,
  { target }: Ground,
): Promise<void> {
  const artifacts = await client.artifacts(build.id)
  assert.deepEqual(artifacts.map(({ name }) => name).sort(), ['installer.iso', 'installer.iso.sha256'])
  for (const { name, recorded, bytes } of artifacts) {
    assert.equal(`${bytes.length} ${sha256Of(bytes)}`, recorded, name)
  }
  const image = artifacts.find(({ name }) => name === 'installer.iso')
  assert.ok(image !== undefined && holdsUserData(image.bytes, target, userData), 'the user-data is its own')
}

/** What is being removed is given a moment. */
async function assertNothingLeft(ground: Ground, builds: readonly Submitted[]): Promise<void> {
  const ids = builds.map(({ build }) => build.id)
  const deadline = Date.now() + 15_000
  for (;;) {
    const left = await ground.leftovers(ids)
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
