import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { ApiKeyWithText } from '@edgesmith/contract/api-key'
import type { ArtifactList, Build } from '@edgesmith/contract/build'
import type { DownloadUrl } from '@edgesmith/contract/artifact'
import type { Upload } from '@edgesmith/contract/upload'
import type { Static } from 'typebox'
import { targetArguments, userDataOf } from '../faults/target.ts'
import { fetch } from '../support/as-operator.ts'

/** The project that the examples of the API name. */
const exampleProject = 'stores'
const strangersTenant = 'strangers'
const buildDeadlineMs = 300_000

/** What there is before Schemathesis begins, so that it does not ask for what is not there alone. */
export type Seed = {
  readonly projects: readonly string[]
  readonly buildId: string
  readonly uploadId: string
  readonly artifactIds: readonly string[]
  readonly signedUrl: string
}

/** Makes the project of the examples, and a key of another tenant, whom nothing of the operator's may be shown. */
export async function makeTenants(url: string): Promise<{ strangersKey: string }> {
  await ask(url, 'POST', '/v1/projects', { id: exampleProject })
  await ask(url, 'POST', '/v1/tenants', { id: strangersTenant, name: 'Strangers' })
  const key = { name: 'stranger', role: 'admin', tenant: strangersTenant }
  const { key: strangersKey } = await ask<ApiKeyWithText>(url, 'POST', '/v1/keys', key)
  return { strangersKey }
}

/** Makes a build with its upload and its artifacts. */
export async function makeSeed(url: string): Promise<Seed> {
  const { id: uploadId } = await ask<Upload>(
    url,
    'POST',
    '/v1/uploads?fileName=user-data',
    userDataOf('seed'),
  )
  const { id: buildId } = await ask<Build>(url, 'POST', '/v1/builds', {
    target: 'iso',
    arguments: targetArguments,
    inputs: { userData: { upload: uploadId } },
  })
  const deadline = Date.now() + buildDeadlineMs
  for (;;) {
    const { state, failure } = await ask<Build>(url, 'GET', `/v1/builds/${buildId}`)
    if (state === 'succeeded') break
    assert.ok(['queued', 'running'].includes(state) && Date.now() < deadline, failure?.detail ?? state)
    await delay(250)
  }
  const { items } = await ask<Static<typeof ArtifactList>>(url, 'GET', `/v1/builds/${buildId}/artifacts`)
  const artifactIds = items.map(({ id }) => id)
  const signed = await ask<DownloadUrl>(url, 'POST', `/v1/artifacts/${artifactIds[0] ?? ''}/download-url`, {
    ttlSeconds: 86_400,
  })
  return { projects: ['default', exampleProject], buildId, uploadId, artifactIds, signedUrl: signed.url }
}

async function ask<T>(url: string, method: string, path: string, body?: object): Promise<T> {
  const isFile = Buffer.isBuffer(body)
  const answer = await fetch(`${url}${path}`, {
    method,
    ...(body === undefined
      ? {}
      : {
          headers: { 'content-type': isFile ? 'application/octet-stream' : 'application/json' },
          body: isFile ? new Uint8Array(body) : JSON.stringify(body),
        }),
  })
  const text = await answer.text()
  assert.ok(answer.ok, `${method} ${path} answered ${answer.status}: ${text}`)
  return JSON.parse(text) as T
}
