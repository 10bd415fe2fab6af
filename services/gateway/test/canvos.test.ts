import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Problem } from '@edgesmith/contract/problem'
import type { CanvosReleases, ReleaseArguments, ReleaseKubernetesVersions } from '@edgesmith/contract/release'
import { request } from '../../../test/support/as-operator.ts'
import { startHarness, type Harness } from './harness.ts'

describe('what CanvOS offers', () => {
  let harness: Harness
  let api: ReturnType<typeof request>
  before(async () => {
    harness = await startHarness()
    api = request(harness.url)
  })
  after(() => harness[Symbol.asyncDispose]())

  it('lists the releases, newest first, release candidates marked', async () => {
    const response = await api.get('/v1/canvos/releases')
    const { latest, items } = response.body as CanvosReleases
    assert.deepEqual(
      items.map(({ tag, prerelease }) => [tag, prerelease]),
      [
        ['v4.10.1-rc.1', true],
        ['v4.10.0', false],
        ['v4.9.36', false],
      ],
    )
    assert.equal(latest, 'v4.10.0')
  })

  it("lists the arguments of a tag from the tag's own Earthfile", async () => {
    const response = await api.get('/v1/canvos/releases/v4.10.0/arguments')
    const { tag, items } = response.body as ReleaseArguments
    assert.equal(tag, 'v4.10.0')
    const find = (name: string) => items.find((item) => item.name === name)
    assert.deepEqual([find('ARCH')?.required, find('ARCH')?.advanced], [true, false])
    assert.equal(find('PE_VERSION')?.default, 'v4.10.0')
    assert.equal(find('ISO_BUILDER')?.advanced, true)
  })

  it('lists the Kubernetes versions of a tag', async () => {
    const response = await api.get('/v1/canvos/releases/v4.9.36/kubernetes-versions')
    const { distributions } = response.body as ReleaseKubernetesVersions
    assert.ok((distributions['k3s'] ?? []).length > 0)
    assert.ok('rke2' in distributions)
  })

  it('tells that a release is not there', async () => {
    for (const what of ['arguments', 'kubernetes-versions']) {
      const response = await api.get(`/v1/canvos/releases/v1.2.3/${what}`)
      assert.deepEqual(
        [response.status, (response.body as Problem).type],
        [404, 'urn:edgesmith:problem:release-not-found'],
      )
      assert.equal((await api.get(`/v1/canvos/releases/main/${what}`)).status, 400)
    }
  })

  it('serves the JSON Schema of user-data', async () => {
    const response = await api.get('/v1/schemas/user-data')
    assert.match(response.headers['content-type'] ?? '', /^application\/schema\+json/)
    const schema = JSON.parse(response.text) as { $schema: string; properties: Record<string, unknown> }
    assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema')
    assert.ok('stylus' in schema.properties)
  })
})
