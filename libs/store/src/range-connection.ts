import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectSecure } from 'node:tls'
import type { ByteRange } from './object-store.ts'
import type { RangeReader } from './range-reader.ts'
import { AnswerCut, ServerSilent } from './retry.ts'

/** The socket's bytes come into a buffer of this size, which is used again and again. */
const socketBuffer = 64 * 1024
/** The longest head of an answer, in bytes; that of an object with all the metadata S3 allows is shorter. */
const maximumHead = 32 * 1024

export type RangeRequest = {
  /** A URL that needs no further headers: `http:` or `https:`, with the signature in its query. */
  readonly url: URL
  readonly range: Required<ByteRange>
  /** The version of the object that is wanted; any without it. */
  readonly etag?: string | undefined
  /** How long the server may send nothing while it is waited for, in milliseconds. */
  readonly silence: number
}

/**
 * Reads a range by an HTTP/1.1 connection of its own. `node:http` makes a new buffer for each 64 KiB that
 * come, which takes four times the processor time of the whole transfer.
 */
export class RangeConnection implements RangeReader {
  readonly #socket: Socket
  readonly #silence: number
  /** The part of the answer's head that came; undefined once all of it did. */
  #head: Buffer | undefined = Buffer.alloc(0)
  readonly #answered = Promise.withResolvers<number | undefined>()
  #length = 0
  /** Bytes of the body that have not come yet. */
  #left = 0
  /** Bytes in the socket's buffer that were not read yet. */
  #rest: Buffer = Buffer.alloc(0)
  #target:
    | { buffer: Buffer; filled: number; resolve: (read: number) => void; reject: (error: Error) => void }
    | undefined
  #failure: Error | undefined
  #etag: string | undefined

  private constructor({ url, range, etag, silence }: RangeRequest) {
    this.#silence = silence
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
    const isSecure = url.protocol === 'https:'
    const options = {
      host,
      port: url.port === '' ? (isSecure ? 443 : 80) : Number(url.port),
      onread: {
        buffer: Buffer.allocUnsafeSlow(socketBuffer),
        callback: (size: number, buffer: Uint8Array) =>
          this.#take(Buffer.from(buffer.buffer, buffer.byteOffset, size)),
      },
    }
    this.#socket = isSecure
      ? connectSecure({ ...options, ...(isIP(host) === 0 ? { servername: host } : {}) })
      : connectPlain(options)
    this.#socket.setTimeout(silence, () => {
      // While its bytes are not wanted the server is not waited for.
      if (this.#head !== undefined || this.#target !== undefined) {
        this.#socket.destroy(new ServerSilent(silence))
      }
    })
    let reason: Error = new AnswerCut('The object store closed the connection too soon.')
    this.#socket.once('error', (error) => (reason = error))
    this.#socket.once('close', () => {
      if (this.#head !== undefined || this.#left !== 0) this.#fail(reason)
    })
    this.#socket.write(
      `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n` +
        `Range: bytes=${range.offset}-${range.offset + range.length - 1}\r\n` +
        (etag === undefined ? '\r\n' : `If-Match: ${etag}\r\n\r\n`),
    )
  }

  /**
   * Asks for a range. Undefined when the server answers anything but 206 with a length: what is wrong can
   * be learned by another way.
   */
  static async open(request: RangeRequest): Promise<RangeConnection | undefined> {
    const connection = new RangeConnection(request)
    const length = await connection.#answered.promise
    if (length !== undefined && length <= request.range.length) {
      connection.#length = length
      return connection
    }
    await connection[Symbol.asyncDispose]()
    return undefined
  }

  /** How many bytes there are in all. */
  get length(): number {
    return this.#length
  }

  /** The version of the object that the bytes are of, where the server told it. */
  get etag(): string | undefined {
    return this.#etag
  }

  read(buffer: Buffer): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const filled = this.#rest.copy(buffer)
    this.#rest = this.#rest.subarray(filled)
    if (filled === buffer.length || this.#left === 0) return Promise.resolve(filled)
    return new Promise((resolve, reject) => {
      this.#target = { buffer, filled, resolve, reject }
      this.#socket.setTimeout(this.#silence)
      this.#socket.resume()
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new Error('The reader was closed.')
    this.#socket.destroy()
    return Promise.resolve()
  }

  /** Takes what came; answers whether more can be taken. */
  #take(chunk: Buffer): boolean {
    const body = this.#head === undefined ? chunk : this.#takeHead(this.#head, chunk)
    if (body === undefined) return true
    this.#left -= body.length
    if (this.#left < 0) {
      this.#socket.destroy(new Error('The object store sent more bytes than it said.'))
      return false
    }
    const target = this.#target
    if (target === undefined) {
      this.#rest = body
      return false
    }
    const copied = body.copy(target.buffer, target.filled)
    target.filled += copied
    this.#rest = body.subarray(copied)
    if (target.filled < target.buffer.length && this.#left > 0) return true
    this.#target = undefined
    target.resolve(target.filled)
    return false
  }

  /** Answers the beginning of the body once the head is there. */
  #takeHead(before: Buffer, chunk: Buffer): Buffer | undefined {
    const head = Buffer.concat([before, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) {
      this.#head = head
      if (head.length > maximumHead) this.#answered.resolve(undefined)
      return undefined
    }
    this.#head = undefined
    const headers = partHeaders(head.toString('latin1', 0, end))
    this.#left = headers?.length ?? -1
    this.#etag = headers?.etag
    this.#answered.resolve(this.#left === -1 ? undefined : this.#left)
    return this.#left === -1 ? undefined : head.subarray(end + 4)
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#answered.reject(this.#failure)
    this.#target?.reject(this.#failure)
    this.#target = undefined
  }
}

/**
 * Length and version of the body of an answer with a part of an object; undefined for any other answer
 * (RFC 9112).
 */
function partHeaders(head: string): { length: number; etag: string | undefined } | undefined {
  const [status = '', ...lines] = head.split('\r\n')
  const headers = new Map(
    lines.map((line) => {
      const [name = '', ...value] = line.split(':')
      return [name.toLowerCase(), value.join(':').trim()]
    }),
  )
  const length = headers.get('content-length') ?? ''
  return /^HTTP\/1\.1 206(?: |$)/.test(status) &&
    /^\d{1,15}$/.test(length) &&
    !headers.has('transfer-encoding')
    ? { length: Number(length), etag: headers.get('etag') }
    : undefined
}
