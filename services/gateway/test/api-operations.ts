import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { publishArtifact } from '@edgesmith/artifacts/artifacts'
import type { Artifact, DownloadUrl } from '@edgesmith/contract/artifact'
import { fetch } from '../../../test/support/as-operator.ts'
import { fleetBuild, fleetTemplate, sitesOf } from './fleet-client.ts'
import type { Harness } from './harness.ts'

type Document = {
  paths: Record<string, Record<string, { operationId?: string; security?: Record<string, string[]>[] }>>
}

/** An operation of the API, as its description has it. */
export type Operation = {
  method: string
  path: string
  operationId: string
  /** What it asks for; undefined where it asks for no credentials. */
  scopes: readonly string[] | undefined
}

const documentFile = new URL('../../../openapi/openapi.json', import.meta.url)
const { paths } = JSON.parse(await readFile(documentFile, 'utf8')) as Document

/** All operations of the API. */
export const operations: readonly Operation[] = Object.entries(paths).flatMap(([path, item]) =>
  Object.entries(item).flatMap(([method, { operationId, security = [] }]): Operation[] =>
    operationId === undefined
      ? []
      : [{ method: method.toUpperCase(), path, operationId, scopes: security[0]?.['bearerToken'] }],
  ),
)

/** Values for the parameters of a path. */
export type Parameters = Readonly<Record<string, string>>

/** What is the same for all. */
const shared: Record<string, Parameters> = { canvos: { tag: 'v4.9.36' } }

/** Which sort of thing the parameters of an operation's path name; undefined where there are none, or it is shared. */
export function kindOf({ path }: Operation): string | undefined {
  if (!path.includes('{')) return undefined
  const kind = path.startsWith('/v1/uploads/resumable/') ? 'resumable' : (path.split('/')[2] ?? '')
  return kind in shared ? undefined : kind
}

/** The path of an operation with its parameters. */
export function pathOf({ path }: Operation, parameters: Parameters): string {
  return path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => {
    const value = parameters[name]
    assert.ok(value !== undefined, `The test makes nothing for {${name}} of ${path}.`)
    return value
  })
}

const json = (body: object): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

/** A spec of a build that is valid. */
export const validBuild = fleetBuild

/** A spec of a fleet that is valid. */
export function validFleet(sites = 1): object {
  return { build: fleetBuild, userDataTemplate: fleetTemplate, sites: sitesOf(sites) }
}

/** Makes things in the project `default` of the tenant `default` for operations to be about. */
export class Objects {
  readonly #harness: Harness

  constructor(harness: Harness) {
    this.#harness = harness
  }

  /** Makes what the parameters of an operation's path name. */
  async makeFor(operation: Operation): Promise<Parameters> {
    if (!operation.path.includes('{')) return {}
    const kind = kindOf(operation)
    if (kind === undefined) return shared[operation.path.split('/')[2] ?? ''] ?? {}
    const make = this.#makers[kind]
    assert.ok(make !== undefined, `The test has no way to make what ${operation.path} names.`)
    return make()
  }

  /** Makes an artifact, and a signed URL of it. */
  async makeSignedUrl(): Promise<string> {
    const { id } = await this.#makeArtifact()
    const signed = await this.#send(`/v1/artifacts/${id}/download-url`, json({}))
    return ((await signed.json()) as DownloadUrl).url
  }

  #makeArtifact(): Promise<Artifact> {
    const source = Readable.from([Buffer.alloc(1000, 7)])
    return publishArtifact(this.#harness.store, { buildId: randomUUID(), name: 'a.iso', source })
  }

  readonly #makers: Record<string, () => Promise<Parameters>> = {
    artifacts: async () => {
      const { id } = await this.#makeArtifact()
      return { id, urlId: await this.#create(`/v1/artifacts/${id}/download-url`, json({})) }
    },
    builds: async () => ({ id: await this.#create('/v1/builds', json(validBuild)) }),
    fleets: async () => ({ id: await this.#create('/v1/fleets', json(validFleet())) }),
    secrets: async () => {
      const name = `secret-${randomUUID()}`
      const secret = { kind: 'opaque', value: 'a value that nobody guesses' }
      await this.#send(`/v1/secrets/${name}`, { ...json(secret), method: 'PUT' })
      return { name }
    },
    uploads: async () => {
      const headers = { 'content-type': 'application/octet-stream' }
      return { id: await this.#create('/v1/uploads', { method: 'POST', headers, body: randomUUID() }) }
    },
    keys: async () => ({
      keyId: await this.#create('/v1/keys', json({ name: 'made', role: 'viewer' })),
    }),
    projects: async () => ({
      projectId: await this.#create('/v1/projects', json({ id: `p-${randomUUID()}` })),
    }),
    tenants: async () => ({
      tenantId: await this.#create('/v1/tenants', json({ id: `t-${randomUUID()}`, name: 'Made' })),
    }),
    resumable: async () => {
      const headers = { 'tus-resumable': '1.0.0', 'upload-length': '10' }
      const begun = await this.#send('/v1/uploads/resumable', { method: 'POST', headers })
      return { id: begun.headers.get('location')?.split('/').at(-1) ?? '' }
    },
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    const response = await fetch(`${this.#harness.url}${path}`, init)
    assert.ok(response.ok, await response.clone().text())
    return response
  }

  async #create(path: string, init: RequestInit): Promise<string> {
    return ((await (await this.#send(path, init)).json()) as { id: string }).id
  }
}
