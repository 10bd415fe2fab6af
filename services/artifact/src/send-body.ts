import type { ServerResponse } from 'node:http'
import type { RangeReader } from '@edgesmith/store/range-reader'

const KiB = 1024
/** All downloads together get about this much for their buffers, and each two of them. */
const budget = 4 * 1024 * KiB
const largest = 1024 * KiB
const smallest = 16 * KiB

/** Buffers of largest size that no download uses now. */
const idle: Buffer[] = []
let downloads = 0

/** The client closed its connection before it had all bytes. */
export class ClientGone extends Error {
  override name = 'ClientGone'
}

/** A body that is read up to its first buffer: that it can be read is known before an answer is begun. */
export type ReadyBody = AsyncDisposable & {
  /**
   * Writes the body to a response whose head was written and ends it. No faster than the client reads.
   * @throws ClientGone; what the reader throws. The response is then destroyed.
   */
  send(response: ServerResponse): Promise<void>
}

/**
 * Reads the beginning of a body. Bytes go from two buffers, which are used in turns, straight to the
 * socket: a stream would make new ones all the time, which costs more than to send them.
 */
export async function readyBody(reader: RangeReader): Promise<ReadyBody> {
  const buffers = takeBuffers()
  try {
    const read = await reader.read(buffers[0])
    return new BufferedBody(reader, buffers, read)
  } catch (error) {
    giveBack(buffers)
    await reader[Symbol.asyncDispose]()
    throw error
  }
}

class BufferedBody implements ReadyBody {
  readonly #reader: RangeReader
  readonly #buffers: [Buffer, Buffer]
  readonly #first: number

  constructor(reader: RangeReader, buffers: [Buffer, Buffer], first: number) {
    this.#reader = reader
    this.#buffers = buffers
    this.#first = first
  }

  async send(response: ServerResponse): Promise<void> {
    const sink = new Sink(response, async () => this.#reader[Symbol.asyncDispose]())
    let reading = Promise.resolve(this.#first)
    try {
      let [filled, other] = this.#buffers
      for (let read = await reading; read > 0;) {
        // The next bytes are read, in another thread, while these are sent.
        reading = this.#reader.read(other)
        const written = sink.write(filled.subarray(0, read))
        ;[read] = await Promise.all([reading, written])
        ;[filled, other] = [other, filled]
      }
      response.end()
    } catch (error) {
      // A write that is given up fails before the connection tells that it is closed.
      const isGone = sink.isGone || response.req.socket.destroyed
      response.destroy()
      await this.#reader[Symbol.asyncDispose]()
      // Until then a buffer is written to, and is no one else's.
      await Promise.allSettled([reading])
      throw isGone ? new ClientGone('The client closed the connection.', { cause: error }) : error
    } finally {
      sink.release()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader[Symbol.asyncDispose]()
    giveBack(this.#buffers)
  }
}

/** Writes to a response, and fails once the connection is closed, be it before or while it writes. */
class Sink {
  isGone = false
  readonly #response: ServerResponse
  readonly #onClose: () => void
  #reject: ((error: Error) => void) | undefined

  constructor(response: ServerResponse, onGone: () => Promise<void>) {
    this.#response = response
    this.#onClose = () => {
      this.isGone = true
      this.#reject?.(new ClientGone('The client closed the connection.'))
      void onGone()
    }
    response.req.socket.once('close', this.#onClose)
    if (response.req.socket.destroyed) this.#onClose()
  }

  write(chunk: Buffer): Promise<void> {
    if (this.isGone) return Promise.reject(new ClientGone('The client closed the connection.'))
    return new Promise((resolve, reject) => {
      this.#reject = reject
      this.#response.write(chunk, (error) => {
        if (error) reject(error)
        else resolve()
      })
    })
  }

  release(): void {
    this.#response.req.socket.off('close', this.#onClose)
  }
}

/** Two buffers, the smaller the more downloads there are. */
function takeBuffers(): [Buffer, Buffer] {
  downloads += 1
  let size = largest
  while (size > smallest && size * 2 * downloads > budget) size /= 2
  const take = () => (size === largest ? idle.pop() : undefined) ?? Buffer.allocUnsafeSlow(size)
  return [take(), take()]
}

function giveBack(buffers: [Buffer, Buffer]): void {
  downloads -= 1
  for (const buffer of buffers) {
    if (buffer.length === largest && (idle.length + 1) * largest <= budget / 2) idle.push(buffer)
  }
}
