import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import type { ArtifactList, Build } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import type { Static } from 'typebox'
import { fetch } from '../support/as-operator.ts'

/** How long a request is made again while the service refuses it or is not there, in milliseconds. */
const patienceMs = 120_000
const pauseMs = 250

export type StoredArtifact = {
  readonly name: string
  readonly size: number
  /** Its size and digest, as `told` tells them of bytes. */
  readonly recorded: string
  /** A signed URL. */
  readonly url: string
}

/**
 * The API as a client uses it that means to have its builds: what is refused for now is asked for again, and so is what
 * breaks off, which is all that an answer can do that was begun before Redis was too slow.
 */
export class PersistentClient {
  readonly #url: () => string
  #brokenOff: string[] = []

  constructor(url: () => string) {
    this.#url = url
  }

  /** What broke off since this was asked for last, and why. */
  takeBrokenOff(): string[] {
    const taken = this.#brokenOff
    this.#brokenOff = []
    return taken
  }

  /** Uploads a file; answers its id. */
  async upload(bytes: Buffer): Promise<string> {
    const answer = await this.#request('/v1/uploads', {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: new Uint8Array(bytes),
    })
    return (JSON.parse(answer) as { id: string }).id
  }

  async submit(spec: object, idempotencyKey: string): Promise<Build> {
    const answer = await this.#request('/v1/builds', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
      body: JSON.stringify(spec),
    })
    return JSON.parse(answer) as Build
  }

  async build(id: string): Promise<Build> {
    return JSON.parse(await this.#request(`/v1/builds/${id}`)) as Build
  }

  /** All events of a build that has ended. */
  async events(id: string): Promise<BuildEvent[]> {
    const answer = await this.#request(`/v1/builds/${id}/events`)
    return answer
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => JSON.parse(line.slice('data:'.length)) as BuildEvent)
  }

  /** The artifacts of a build: what is recorded of each, and where they are. */
  async artifacts(id: string): Promise<StoredArtifact[]> {
    const answer = await this.#request(`/v1/builds/${id}/artifacts`)
    const { items } = JSON.parse(answer) as Static<typeof ArtifactList>
    const found: StoredArtifact[] = []
    for (const { id: artifactId, name, size } of items) {
      const checksum = await this.#request(`/v1/artifacts/${artifactId}/checksum`)
      const signed = await this.#request(`/v1/artifacts/${artifactId}/download-url`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ttlSeconds: 3600 }),
      })
      const { url } = JSON.parse(signed) as { url: string }
      found.push({ name, size, recorded: `${size} ${checksum.split(' ')[0] ?? ''}`, url })
    }
    return found
  }

  /** The body of an answer. */
  async #request(path: string, init?: RequestInit): Promise<string> {
    const deadline = Date.now() + patienceMs
    for (;;) {
      const refusal = await this.#attempt(path, init)
      if (typeof refusal === 'string') return refusal
      if (Date.now() > deadline) throw new Error(`${path} was refused for too long: ${refusal.message}`)
      await delay(pauseMs)
    }
  }

  /** The body of an answer, or why there is none for now. */
  async #attempt(path: string, init?: RequestInit): Promise<string | Error> {
    let answer: Response | undefined
    let body: string
    try {
      answer = await fetch(`${this.#url()}${path}`, { ...init, signal: AbortSignal.timeout(patienceMs) })
      body = await answer.text()
    } catch (error) {
      if (answer !== undefined) this.#brokenOff.push(`${path}: ${inspect(error)}`)
      return error instanceof Error ? error : new Error(String(error))
    }
    if (answer.ok) return body
    if (answer.status === 503 || body.includes('idempotency-key-in-use')) return new Error(body)
    throw new Error(`${path} answered ${answer.status}: ${body}`)
  }
}

/** Size and digest of bytes. */
export function told(bytes: Buffer): string {
  return `${bytes.length} ${sha256Of(bytes)}`
}

export function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
