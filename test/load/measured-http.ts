import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request, type Dispatcher } from 'undici'

/** Operations whose answers are what somebody looks at; the others bring or take bytes, or make something. */
export const reads = [
  'get build',
  'list builds',
  'list artifacts',
  'get artifact',
  'get upload',
  'get log',
] as const

export type Operation =
  | (typeof reads)[number]
  | 'look after tenants'
  | 'submit build'
  | 'cancel build'
  | 'sign url'
  | 'get checksum'
  | 'download'
  | 'follow events'
  | 'send upload'
  | 'create resumable upload'
  | 'ask for offset'
  | 'send part'

export type Call = {
  readonly operation: Operation
  readonly url: string
  readonly method?: Dispatcher.HttpMethod
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  /** What may be answered besides 2xx. */
  readonly allowed?: readonly number[]
}

export type Answer = {
  readonly status: number
  readonly headers: Dispatcher.ResponseData['headers']
  readonly body: Buffer
}

/** How long an answer may take to begin, and to go on, in milliseconds. */
const silenceMs = 60_000
/** How often a request is made again that was refused for now. */
const mostRefusals = 20

/**
 * Makes requests on connections that are kept, and measures how long each takes until its answer is there
 * whole. A request that is refused with 429 is made again after the time that the answer says.
 */
export class MeasuredHttp implements AsyncDisposable {
  /** Milliseconds that answered requests took, by operation. */
  readonly latencies = new Map<Operation, number[]>()
  refusals = 0
  readonly #agent = new Agent({
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
  })

  /** @throws Error for an answer that is not expected */
  async call(call: Call): Promise<Answer> {
    const { response, begun } = await this.open(call)
    const body = Buffer.from(await response.body.arrayBuffer())
    this.measured(call.operation, begun)
    return { status: response.statusCode, headers: response.headers, body }
  }

  /** The same, whose body the caller reads, and tells then that it has. */
  async open(call: Call): Promise<{ response: Dispatcher.ResponseData; begun: number }> {
    const { operation, url, method = 'GET', headers = {}, body, allowed = [] } = call
    for (let refused = 0; ; refused += 1) {
      const begun = performance.now()
      const response = await request(url, {
        method,
        headers: { ...headers },
        dispatcher: this.#agent,
        ...(body === undefined ? {} : { body }),
      })
      const { statusCode } = response
      if ((statusCode >= 200 && statusCode < 300) || allowed.includes(statusCode)) return { response, begun }
      const told = await response.body.text()
      const wait = Number(response.headers['retry-after'])
      if (statusCode !== 429 || Number.isNaN(wait) || refused === mostRefusals) {
        throw new Error(`${operation} (${method} ${url}) was answered ${statusCode}: ${told}`)
      }
      this.refusals += 1
      await delay(wait * 1000)
    }
  }

  measured(operation: Operation, begun: number): void {
    const taken = performance.now() - begun
    const others = this.latencies.get(operation)
    if (others === undefined) this.latencies.set(operation, [taken])
    else others.push(taken)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }
}

/** A form with files (RFC 7578), as one piece. */
export function formOf(parts: Readonly<Record<string, { fileName: string; content: Buffer }>>): {
  readonly body: Buffer
  readonly contentType: string
} {
  const boundary = 'edgesmith-load-d4f1b7c2a90e'
  const pieces = Object.entries(parts).flatMap(([name, { fileName, content }]) => [
    Buffer.from(
      `--${boundary}\r\ncontent-disposition: form-data; name="${name}"; filename="${fileName}"\r\n` +
        'content-type: application/octet-stream\r\n\r\n',
    ),
    content,
    Buffer.from('\r\n'),
  ])
  return {
    body: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]),
    contentType: `multipart/form-data; boundary=${boundary}`,
  }
}
