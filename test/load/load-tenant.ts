import type { ApiKeyWithText } from '@edgesmith/contract/api-key'
import type { BuildState } from '@edgesmith/contract/build'
import type { Target } from '../faults/target.ts'
import { asOperator } from '../support/as-operator.ts'
import type { LoadStack } from './load-stack.ts'
import type { MeasuredHttp } from './measured-http.ts'

/** An ISO whose bytes are known, by its signed URL. */
export type Sample = { readonly artifactId: string; readonly url: string; readonly bytes: Buffer }

/** What all clients of a tenant know of it, and what has to be found of it in the end. */
export class LoadTenant {
  readonly id: string
  /** Of the gateway. */
  readonly url: string
  /** Credentials of who looks after it. */
  readonly headers: Readonly<Record<string, string>>
  readonly target: Target
  readonly samples: Sample[] = []
  /** Builds that have ended, of which clients ask again, and their artifacts. */
  readonly endedBuilds: string[] = []
  readonly artifacts: string[] = []
  /** Builds that wait or run, whose events clients follow. */
  readonly liveBuilds = new Set<string>()
  /** Every build that was accepted, and how it may end. */
  readonly accepted = new Map<string, readonly BuildState[]>()
  /** Every upload that was accepted: its size in bytes. */
  readonly uploads = new Map<string, number>()
  /** Whether one of its clients has a build that Earthly is to make. */
  isBuilding = false
  /** What all events of an ended build are, by their ids. */
  readonly #events = new Map<string, Promise<readonly string[]>>()

  private constructor({ id, key, url, target }: { id: string; key: string; url: string; target: Target }) {
    this.id = id
    this.url = url
    this.headers = { authorization: `Bearer ${key}` }
    this.target = target
  }

  /** Makes a tenant with a key for each of so many clients. */
  static async make(
    http: MeasuredHttp,
    { stack, target }: LoadStack,
    { id, clients }: { id: string; clients: number },
  ): Promise<{ tenant: LoadTenant; keys: string[] }> {
    const url = stack.urls.gateway
    const post = async (path: string, headers: Readonly<Record<string, string>>, body: object) => {
      const answer = await http.call({
        operation: 'look after tenants',
        method: 'POST',
        url: `${url}${path}`,
        headers: { ...headers, 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify(body)),
      })
      return JSON.parse(answer.body.toString()) as unknown
    }
    await post('/v1/tenants', asOperator, { id, name: id })
    const admin = (await post('/v1/keys', asOperator, {
      name: 'admin',
      role: 'admin',
      tenant: id,
    })) as ApiKeyWithText
    const tenant = new LoadTenant({ id, key: admin.key, url, target })
    const keys: string[] = []
    for (let index = 0; index < clients; index += 1) {
      const given = { name: `client ${index}`, role: 'builder' }
      keys.push(((await post('/v1/keys', tenant.headers, given)) as ApiKeyWithText).key)
    }
    return { tenant, keys }
  }

  /** Ids of all events of a build that has ended, asked for once. */
  eventsOf(buildId: string, read: () => Promise<readonly string[]>): Promise<readonly string[]> {
    const known = this.#events.get(buildId)
    if (known !== undefined) return known
    const reading = read()
    this.#events.set(buildId, reading)
    return reading
  }
}
