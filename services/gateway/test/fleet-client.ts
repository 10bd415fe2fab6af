import assert from 'node:assert/strict'
import type { Build } from '@edgesmith/contract/build'
import type { Fleet, FleetDownloads, FleetSitePage } from '@edgesmith/contract/fleet'
import { fetch } from '../../../test/support/as-operator.ts'

/** What the sites of the tests' fleets have in common. */
export const fleetBuild = {
  canvos: { tag: 'v4.9.36' },
  arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' },
}

export const fleetTemplate = `#cloud-config
stylus:
  site:
    edgeHostToken: {{token}}
    name: {{site}}
    projectName: stores
`

/** The user-data that the template gives a site. */
export function userDataOf(site: string, token: string): string {
  return fleetTemplate.replace('{{token}}', `"${token}"`).replace('{{site}}', `"${site}"`)
}

/** Sites `store-0`, `store-1`, … with the tokens `000`, `001`, … */
export function sitesOf(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    name: `store-${index}`,
    values: { token: `00${index}` },
  }))
}

/** Asks again until the answer fits; the time limit of the test ends it. */
export async function until<T>(ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (fits(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A client of the API of fleets. */
export class FleetClient {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  /** Sends a fleet spec, with whatever differs from the default of five sites. */
  async submit(overrides: object = {}): Promise<Fleet> {
    const spec = { build: fleetBuild, userDataTemplate: fleetTemplate, sites: sitesOf(5), ...overrides }
    const headers = { 'content-type': 'application/json' }
    return this.post<Fleet>('/v1/fleets', { headers, body: JSON.stringify(spec) }, 202)
  }

  /** Uploads a file; answers its id. */
  async upload(bytes: Buffer, name: string): Promise<string> {
    const body = new FormData()
    body.append('file', new Blob([new Uint8Array(bytes)]), name)
    const response = await fetch(`${this.#url}/v1/uploads`, { method: 'POST', body })
    assert.ok(response.ok, await response.clone().text())
    return ((await response.json()) as { id: string }).id
  }

  async post<T>(path: string, init: RequestInit, status: number): Promise<T> {
    const response = await fetch(`${this.#url}${path}`, { method: 'POST', ...init })
    assert.equal(response.status, status, await response.clone().text())
    return (await response.json()) as T
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}${path}`)
    assert.equal(response.status, 200, await response.clone().text())
    return (await response.json()) as T
  }

  fleet(id: string): Promise<Fleet> {
    return this.get(`/v1/fleets/${id}`)
  }

  async sites(id: string): Promise<FleetSitePage['items']> {
    return (await this.get<FleetSitePage>(`/v1/fleets/${id}/sites?limit=1000`)).items
  }

  /** The builds of all sites, in the order of the table. */
  async builds(id: string): Promise<Build[]> {
    return Promise.all((await this.sites(id)).map(({ buildId }) => this.get<Build>(`/v1/builds/${buildId}`)))
  }

  downloads(id: string): Promise<FleetDownloads> {
    return this.get(`/v1/fleets/${id}/downloads`)
  }

  /** Waits until all builds of a fleet have ended. */
  ended(id: string): Promise<Fleet> {
    return until(
      () => this.fleet(id),
      ({ state }) => state !== 'queued' && state !== 'running',
    )
  }
}
