import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { ArtifactList, Build, BuildPage } from '@edgesmith/contract/build'
import type { Static } from 'typebox'
import type { Random } from '../faults/random.ts'
import { holdsUserData, targetArguments, userDataOf } from '../faults/target.ts'
import { assertWhole, followEvents } from './event-stream.ts'
import type { FaultsFound } from './faults-found.ts'
import type { LoadTenant, Sample } from './load-tenant.ts'
import { formOf, type Answer, type Call, type MeasuredHttp, type Operation } from './measured-http.ts'
import { downloadSample, sha256Of, uploadAtOnce, uploadResumably, type Contents } from './transfers.ts'

/** Longest time between what a client does and what it does next, by the mean; times are exponential. */
const longestThink = 4
/** Builds and artifacts that a tenant's clients still ask for. */
const remembered = 500

/** What clients have done together. */
export class Done {
  stamped = 0
  built = 0
  canceled = 0
  streams = 0
  streamsResumed = 0
  events = 0
  uploads = 0
  uploadedBytes = 0
  downloads = 0
  downloadedBytes = 0
}

export type LoadClientParts = {
  readonly name: string
  readonly tenant: LoadTenant
  readonly key: string
  /** Mean time between what the client does and what it does next, in milliseconds. */
  readonly thinkMs: number
  readonly http: MeasuredHttp
  readonly random: Random
  readonly contents: Contents
  readonly faults: FaultsFound
  readonly done: Done
}

/** One client of a tenant: does one thing after the other, as its random numbers say, and thinks in between. */
export class LoadClient {
  readonly #parts: LoadClientParts
  readonly #headers: Readonly<Record<string, string>>
  /** What goes on beside what the client does. */
  readonly #background = new Set<Promise<void>>()
  #submitted = 0

  constructor(parts: LoadClientParts) {
    this.#parts = parts
    this.#headers = { authorization: `Bearer ${parts.key}` }
  }

  /** Goes on until a moment (of `performance.now`), and then to the end of what it follows. */
  async run(until: number): Promise<void> {
    const { random, faults, name, thinkMs } = this.#parts
    await delay(random.next() * thinkMs * 2)
    while (performance.now() < until) {
      const action = this.#choose()
      try {
        await action.does()
      } catch (error) {
        faults.add(`${name}, ${action.name}`, error)
      }
      await delay(Math.min(-Math.log(1 - random.next()), longestThink) * thinkMs)
    }
    await Promise.all(this.#background)
  }

  #choose(): { name: string; does: () => Promise<unknown> } {
    const { random, tenant } = this.#parts
    const { endedBuilds, artifacts, uploads } = tenant
    const build = () => `/v1/builds/${random.pick(endedBuilds) ?? ''}`
    const choices: readonly [number, string, () => Promise<unknown>][] = [
      [20, 'get build', () => this.#get('get build', build())],
      [12, 'list builds', () => this.#listBuilds()],
      [8, 'list artifacts', () => this.#get('list artifacts', `${build()}/artifacts`)],
      [12, 'get artifact', () => this.#get('get artifact', `/v1/artifacts/${random.pick(artifacts) ?? ''}`)],
      [
        6,
        'get upload',
        () =>
          uploads.size === 0
            ? this.#upload()
            : this.#get('get upload', `/v1/uploads/${random.pick([...uploads.keys()]) ?? ''}`),
      ],
      [6, 'get log', () => this.#get('get log', `${build()}/logs`)],
      [12, 'download', () => this.#download()],
      [8, 'upload', () => this.#upload()],
      [8, 'submit', () => this.#submit()],
      [8, 'follow', () => this.#followSome()],
    ]
    let left = random.next() * choices.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, name, does] of choices) {
      left -= weight
      if (left < 0) return { name, does }
    }
    throw new Error('No choice is left.')
  }

  async #get(operation: Operation, path: string): Promise<Answer> {
    return this.#call({ operation, url: path })
  }

  #call(call: Call): Promise<Answer> {
    const { http, tenant } = this.#parts
    return http.call({
      ...call,
      url: new URL(call.url, tenant.url).href,
      headers: { ...this.#headers, ...call.headers },
    })
  }

  async #listBuilds(): Promise<void> {
    const answer = await this.#get('list builds', '/v1/builds?limit=20')
    const { items } = JSON.parse(answer.body.toString()) as Static<typeof BuildPage>
    for (const { id, tenant } of items) assert.equal(tenant, this.#parts.tenant.id, `the build ${id}`)
  }

  async #download(): Promise<void> {
    const { http, tenant, random, done } = this.#parts
    const sample = random.pick(tenant.samples)
    if (sample === undefined) throw new Error('There is nothing to download.')
    const url = random.next() < 0.3 ? await this.#sign(sample.artifactId) : sample.url
    done.downloadedBytes += await downloadSample(http, { ...sample, url }, random)
    done.downloads += 1
  }

  async #sign(artifactId: string): Promise<string> {
    const answer = await this.#call({
      operation: 'sign url',
      method: 'POST',
      url: `/v1/artifacts/${artifactId}/download-url`,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from('{"ttlSeconds": 3600}'),
    })
    return (JSON.parse(answer.body.toString()) as { url: string }).url
  }

  async #upload(): Promise<void> {
    const { http, tenant, random, contents, done } = this.#parts
    const content = contents.next(random)
    const session = { http, url: tenant.url, headers: this.#headers }
    const id =
      random.next() < 0.4
        ? await uploadResumably(session, content, random)
        : await uploadAtOnce(session, content, random)
    tenant.uploads.set(id, content.length)
    done.uploads += 1
    done.uploadedBytes += content.length
  }

  /** One build of a tenant at a time is made by Earthly; of the others most are stamped, some canceled. */
  async #submit(): Promise<void> {
    const { tenant, random } = this.#parts
    if (!tenant.isBuilding) {
      tenant.isBuilding = true
      await this.#build()
    } else if (random.next() < 0.1) {
      await this.#cancel()
    } else {
      await this.#stamp()
    }
  }

  /** Has a build made by Earthly, follows it and looks at its ISO. */
  async #build(): Promise<void> {
    const { tenant, done } = this.#parts
    try {
      const { build, userData } = await this.#send({ cache: 'bypass' }, ['succeeded'])
      this.#inBackground('a build', async () => {
        try {
          await this.#follow(build.id)
          await this.#verifyIso(build.id, userData)
          done.built += 1
        } finally {
          tenant.isBuilding = false
        }
      })
    } catch (error) {
      tenant.isBuilding = false
      throw error
    }
  }

  /** Asks for a build that waits, and changes its mind. */
  async #cancel(): Promise<void> {
    const { random, done, thinkMs } = this.#parts
    // It can have been made meanwhile.
    const { build } = await this.#send({ cache: 'bypass' }, ['canceled', 'succeeded'])
    this.#inBackground('a build that is canceled', () => this.#follow(build.id))
    await delay(random.next() * thinkMs)
    await this.#call({
      operation: 'cancel build',
      method: 'POST',
      url: `/v1/builds/${build.id}/cancel`,
      allowed: [409],
    })
    done.canceled += 1
  }

  /** Asks for a build that differs in its user-data alone, and looks at some of those ISOs. */
  async #stamp(): Promise<void> {
    const { tenant, random, done } = this.#parts
    const { build, userData } = await this.#send({}, ['succeeded'])
    assert.equal(build.state, 'succeeded', 'a build that can be had at once')
    done.stamped += 1
    remember(tenant.endedBuilds, build.id)
    for (const { id } of build.artifacts) remember(tenant.artifacts, id)
    if (random.next() < 0.15) await this.#verifyIso(build.id, userData)
  }

  async #send(more: object, ends: readonly Build['state'][]): Promise<{ build: Build; userData: Buffer }> {
    const { tenant, name } = this.#parts
    this.#submitted += 1
    const site = `${name}-${this.#submitted}`
    const userData = userDataOf(site)
    const { body, contentType } = formOf({
      spec: { fileName: 'spec.json', content: Buffer.from(JSON.stringify(specOf(tenant, more))) },
      userData: { fileName: 'user-data', content: userData },
    })
    const answer = await this.#call({
      operation: 'submit build',
      method: 'POST',
      url: '/v1/builds',
      headers: { 'content-type': contentType, 'idempotency-key': site },
      body,
    })
    const build = JSON.parse(answer.body.toString()) as Build
    tenant.accepted.set(build.id, ends)
    return { build, userData }
  }

  /** The ISO of a build has the bytes of its digest, and its own user-data. */
  async #verifyIso(buildId: string, userData: Buffer): Promise<Sample> {
    const { http, tenant } = this.#parts
    const listed = await this.#get('list artifacts', `/v1/builds/${buildId}/artifacts`)
    const { items } = JSON.parse(listed.body.toString()) as Static<typeof ArtifactList>
    const iso = items.find(({ name }) => name.endsWith('.iso'))
    assert.ok(iso !== undefined, 'the build has an ISO')
    const told = await this.#get('get checksum', `/v1/artifacts/${iso.id}/checksum`)
    const url = await this.#sign(iso.id)
    const { body } = await http.call({ operation: 'download', url })
    assert.deepEqual([body.length, sha256Of(body)], [iso.size, told.body.toString().split(' ')[0]])
    assert.ok(holdsUserData(body, tenant.target, userData), 'the user-data is its own')
    return { artifactId: iso.id, url, bytes: body }
  }

  /** Follows a build of the tenant, where there is one, and does nothing else until it ends. */
  async #followSome(): Promise<void> {
    const { tenant, random } = this.#parts
    const id = random.pick([...tenant.liveBuilds])
    if (id !== undefined) await this.#follow(id)
  }

  async #follow(id: string): Promise<void> {
    const { http, tenant, random, done } = this.#parts
    const stream = { url: `${tenant.url}/v1/builds/${id}/events`, headers: this.#headers }
    tenant.liveBuilds.add(id)
    try {
      const followed = await followEvents(http, stream, random)
      tenant.liveBuilds.delete(id)
      const all = await tenant.eventsOf(id, async () => (await followEvents(http, stream)).ids)
      assertWhole(followed, all)
      const [last] = followed.states.slice(-1)
      assert.ok(
        last !== undefined && tenant.accepted.get(id)?.includes(last),
        `the build ${id} is ${last ?? ''}`,
      )
      done.streams += 1
      done.streamsResumed += followed.resumed
      done.events += followed.ids.length
    } finally {
      tenant.liveBuilds.delete(id)
    }
  }

  #inBackground(what: string, work: () => Promise<unknown>): void {
    const { faults, name } = this.#parts
    const going: Promise<void> = work()
      .then(
        () => undefined,
        (error: unknown) => {
          faults.add(`${name}, ${what}`, error)
        },
      )
      .finally(() => {
        this.#background.delete(going)
      })
    this.#background.add(going)
  }

  /** Makes a base and ISOs of it, before others are there, so that there is something to ask for. */
  async prepare(samples: number): Promise<void> {
    const { tenant } = this.#parts
    const first = await this.#send({}, ['succeeded'])
    await this.#follow(first.build.id)
    tenant.endedBuilds.push(first.build.id)
    await this.#verifyIso(first.build.id, first.userData)
    for (let made = 0; made < samples; made += 1) {
      const { build, userData } = await this.#send({}, ['succeeded'])
      assert.equal(build.state, 'succeeded', 'a build that can be had at once')
      const sample = await this.#verifyIso(build.id, userData)
      tenant.samples.push(sample)
      tenant.endedBuilds.push(build.id)
      tenant.artifacts.push(sample.artifactId)
    }
  }
}

/** What a build of a tenant is asked for with; `behaviour` is what the step of the target does. */
export function specOf({ target }: LoadTenant, more: object, behaviour = 'none'): object {
  return {
    canvos: { tag: target.tag },
    target: 'iso',
    arguments: { ...targetArguments, CUSTOM_TAG: behaviour },
    timeoutSeconds: 300,
    ...more,
  }
}

/** Adds one, and drops the eldest where there are too many. */
function remember(ids: string[], id: string): void {
  ids.push(id)
  if (ids.length > remembered) ids.shift()
}
