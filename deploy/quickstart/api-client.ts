import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Artifact, DownloadUrl } from '@edgesmith/contract/artifact'
import type { Build } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import type { Problem } from '@edgesmith/contract/problem'
import { EventSourceParserStream } from 'eventsource-parser/stream'

/** The API answered an error; the message has the problem and each of its faults. */
export class ApiError extends Error {
  override name = 'ApiError'
}

const reconnectAfterMs = 1000
const reconnectAttempts = 10

/** A client of the public API, with what the quickstart needs of it. */
export class ApiClient {
  readonly #url: string
  readonly #key: string

  constructor(url: string, key: string) {
    this.#url = url
    this.#key = key
  }

  async createBuild(form: FormData): Promise<Build> {
    return (await this.#json('/v1/builds', { method: 'POST', body: form })) as Build
  }

  async getBuild(id: string): Promise<Build> {
    return (await this.#json(`/v1/builds/${id}`)) as Build
  }

  async createDownloadUrl(artifact: Artifact): Promise<DownloadUrl> {
    return (await this.#json(`/v1/artifacts/${artifact.id}/download-url`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ttlSeconds: 3600 }),
    })) as DownloadUrl
  }

  /** SHA-256 of an artifact, in hex, as the API tells it. */
  async getChecksum({ id }: Artifact): Promise<string> {
    const [sha256 = ''] = (await (await this.#request(`/v1/artifacts/${id}/checksum`)).text()).split(' ')
    return sha256
  }

  /** The events of a build until it ends; goes on where it was when the connection breaks. */
  async *followBuild(id: string): AsyncGenerator<BuildEvent> {
    let lastEventId: string | undefined
    for (let attempt = 0; ; attempt += 1) {
      try {
        const headers: Record<string, string> =
          lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
        const { body } = await this.#request(`/v1/builds/${id}/events`, { headers })
        if (body === null) throw new ApiError('The event stream has no body.')
        for await (const message of body
          .pipeThrough(new TextDecoderStream())
          .pipeThrough(new EventSourceParserStream())) {
          lastEventId = message.id
          attempt = 0
          yield JSON.parse(message.data) as BuildEvent
        }
        return
      } catch (error) {
        if (error instanceof ApiError || attempt >= reconnectAttempts) throw error
        await delay(reconnectAfterMs)
      }
    }
  }

  async #json(path: string, init?: RequestInit): Promise<unknown> {
    return (await this.#request(path, init)).json()
  }

  async #request(path: string, init?: RequestInit): Promise<Response> {
    const headers = new Headers(init?.headers)
    headers.set('authorization', `Bearer ${this.#key}`)
    return expectSuccess(await fetch(`${this.#url}${path}`, { ...init, headers }))
  }
}

async function expectSuccess(response: Response): Promise<Response> {
  if (response.ok) return response
  const text = await response.text()
  if (!(response.headers.get('content-type') ?? '').startsWith('application/problem+json')) {
    throw new ApiError(`${response.url} answered ${response.status}: ${text}`)
  }
  const { title, detail, errors = [] } = JSON.parse(text) as Problem
  const faults = errors.map(({ source, pointer, line, message }) => {
    const place = [source, pointer, line === undefined ? undefined : `line ${line}`].filter(
      (part) => part !== undefined,
    )
    return `  - ${place.join(' ')}: ${message}`
  })
  throw new ApiError([`${title}: ${detail ?? ''}`, ...faults].join('\n'))
}

/** Downloads a signed URL into a file, which appears when it is whole; returns its SHA-256 in hex. */
export async function download(url: string, file: string): Promise<string> {
  const { body } = await expectSuccess(await fetch(url))
  if (body === null) throw new ApiError(`${url} answered no body.`)
  const hash = createHash('sha256')
  const partial = `${file}.partial`
  await pipeline(
    Readable.fromWeb(body),
    async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        hash.update(chunk)
        yield chunk
      }
    },
    createWriteStream(partial),
  )
  await rename(partial, file)
  return hash.digest('hex')
}
