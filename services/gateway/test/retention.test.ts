import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Build } from '@edgesmith/contract/build'
import type { Problem } from '@edgesmith/contract/problem'
import type { RetentionReport } from '@edgesmith/contract/retention'
import { request } from '../../../test/support/as-operator.ts'
import { startHarness, type Harness } from './harness.ts'

describe('retention', () => {
  let harness: Harness
  let api: ReturnType<typeof request>
  before(async () => {
    harness = await startHarness()
    api = request(harness.url)
  })
  after(() => harness[Symbol.asyncDispose]())

  const policies = {
    policies: [{ name: 'trials', match: { labels: { stage: 'trial' } }, keep: { maxCount: 0 } }],
  }

  it('keeps policies, and lets nobody overwrite those of another unseen', async () => {
    const none = await api.get('/v1/retention/policies')
    assert.deepEqual([none.status, none.body, none.headers['etag']], [200, { policies: [] }, '"0"'])
    const put = await api.put('/v1/retention/policies').set('if-match', '"0"').send(policies)
    assert.deepEqual([put.status, put.body, put.headers['etag']], [200, policies, '"1"'])
    const late = await api.put('/v1/retention/policies').set('if-match', '"0"').send({ policies: [] })
    assert.deepEqual(
      [late.status, (late.body as Problem).type],
      [412, 'urn:edgesmith:problem:policies-changed'],
    )
    assert.equal((await api.put('/v1/retention/policies').send(policies)).status, 400)
    assert.deepEqual((await api.get('/v1/retention/policies')).body, policies)
  })

  for (const [name, policy] of Object.entries({
    'keeps by nothing': { name: 'p', keep: {} },
    'is about builds that have not ended': {
      name: 'p',
      match: { state: ['running'] },
      keep: { maxCount: 1 },
    },
    'keeps for no day': { name: 'p', keep: { maxAgeDays: 0 } },
    'matches a tenant': { name: 'p', match: { tenant: 'a' }, keep: { maxCount: 1 } },
  })) {
    it(`refuses a policy that ${name}`, async () => {
      const before = await api.get('/v1/retention/policies')
      const put = await api
        .put('/v1/retention/policies')
        .set('if-match', String(before.headers['etag']))
        .send({ policies: [policy] })
      assert.equal(put.status, 422, put.text)
      assert.deepEqual((await api.get('/v1/retention/policies')).body, before.body)
    })
  }

  it('tells what a run would delete, and deletes it', async () => {
    const { headers } = await api.get('/v1/retention/policies')
    await api.put('/v1/retention/policies').set('if-match', String(headers['etag'])).send(policies)
    const submitted = await api.post('/v1/builds').send({
      ...{ canvos: { tag: 'v4.9.36' }, target: 'iso', labels: { stage: 'trial' } },
      arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' },
    })
    assert.equal(submitted.status, 202, submitted.text)
    const { id } = submitted.body as Build
    const queued = await api.post('/v1/retention/runs').send({ dryRun: false })
    assert.deepEqual([queued.status, (queued.body as RetentionReport).builds.count], [200, 0])
    assert.equal((await api.post(`/v1/builds/${id}/cancel`)).status, 202)
    const dry = (await api.post('/v1/retention/runs').send({ dryRun: true })).body as RetentionReport
    assert.deepEqual([dry.dryRun, dry.builds.items], [true, [id]])
    assert.equal((await api.get(`/v1/builds/${id}`)).status, 200)
    const run = (await api.post('/v1/retention/runs').send({ dryRun: false })).body as RetentionReport
    assert.deepEqual([run.dryRun, run.complete, run.builds, run.bytes], [false, true, dry.builds, dry.bytes])
    assert.equal((await api.get(`/v1/builds/${id}`)).status, 404)
    assert.deepEqual(
      (await harness.keys()).filter((key) => key.startsWith('builds/')),
      [],
    )
  })

  it('refuses a run that does not say whether it is dry', async () => {
    assert.equal((await api.post('/v1/retention/runs').send({})).status, 422)
  })
})
