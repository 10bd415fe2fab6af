import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest, type ClientRequest } from 'node:http'
import { after, before, describe, it } from 'node:test'
import type { Build } from '@edgesmith/contract/build'
import type { Problem } from '@edgesmith/contract/problem'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { RecordCache } from '@edgesmith/identity/record-cache'
import { Tenants } from '@edgesmith/identity/tenants'
import { fetch, operatorKey } from '../../../test/support/as-operator.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { fleetBuild, fleetTemplate, sitesOf, until } from './fleet-client.ts'
import { startHarness, type Harness } from './harness.ts'

describe('what the service takes on', { timeout: 60_000 }, () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ admission: { queued: 6, queuedOfTenant: 4, uploads: 3 } })
  })
  after(() => harness[Symbol.asyncDispose]())

  const post = (path: string, body: object = {}) =>
    fetch(`${harness.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const submit = () => post('/v1/builds', fleetBuild)
  const submitFleet = (count: number) =>
    post('/v1/fleets', { build: fleetBuild, userDataTemplate: fleetTemplate, sites: sitesOf(count) })

  async function assertRefused(response: Response, code: string): Promise<void> {
    const { type } = (await response.json()) as Problem
    assert.deepEqual([response.status, type], [429, `urn:edgesmith:problem:${code}`])
    assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  }

  async function accepted(response: Response): Promise<Build> {
    assert.equal(response.status, 202, await response.clone().text())
    return (await response.json()) as Build
  }

  async function changeTenant(limits: object): Promise<void> {
    const onError = (error: Error) => {
      throw error
    }
    const redis = openRedis(harness.redisUrl, { patience: 'brief', name: 'test', onError })
    await new Tenants({ store: harness.stores.whole, cache: new RecordCache(redis) }).change(
      ownProject.tenant,
      { limits },
    )
    await closeRedis(redis)
  }

  /** An upload that has begun and goes on until it is told to end. */
  function beginUpload(): ClientRequest {
    const sent = httpRequest(`${harness.url}/v1/uploads`, {
      method: 'POST',
      headers: { authorization: `Bearer ${operatorKey}`, 'content-type': 'application/octet-stream' },
    })
    sent.on('error', () => undefined)
    sent.write('begin')
    return sent
  }

  const upload = () =>
    fetch(`${harness.url}/v1/uploads`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: 'content',
    })

  it('is no more builds than may wait; a fleet counts as its sites, and a retry as one', async () => {
    const builds = [await accepted(await submit()), await accepted(await submit())]
    await assertRefused(await submitFleet(3), 'queue-full')
    await accepted(await submitFleet(2))
    await assertRefused(await submit(), 'queue-full')
    const [first, second] = builds
    await accepted(await post(`/v1/builds/${first?.id}/cancel`))
    await accepted(await post(`/v1/builds/${second?.id}/cancel`))
    await accepted(await post(`/v1/builds/${first?.id}/retry`))
    await accepted(await submit())
    await assertRefused(await post(`/v1/builds/${second?.id}/retry`), 'queue-full')
    await changeTenant({ queuedBuilds: 10 })
    // The limit of all tenants holds then.
    await accepted(await submit())
    await accepted(await submit())
    await assertRefused(await submit(), 'queue-full')
  })

  it('is no more uploads at a time than may be, and one more when one ends, however it does', async () => {
    const sent = [beginUpload(), beginUpload(), beginUpload()]
    await until(harness.incoming, (files) => files.length === 3)
    await assertRefused(await upload(), 'too-many-uploads')
    sent[0]?.destroy()
    await until(upload, (response) => response.status === 201 || response.status === 200)
    await changeTenant({ uploadsAtOnce: 2 })
    await assertRefused(await upload(), 'too-many-uploads')
    sent[1]?.end(' and end')
    if (sent[1] !== undefined) await once(sent[1], 'response')
    await until(upload, (response) => response.status === 200)
    sent[2]?.destroy()
    await until(harness.incoming, (files) => files.length === 0)
  })
})
