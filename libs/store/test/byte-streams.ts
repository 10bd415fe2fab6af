import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'

export const KiB = 1024
export const MiB = 1024 * KiB

/** A stream of that many bytes, the same for the same size, in chunks that divide no part evenly. */
export function bytesStream(size: number): Readable {
  return Readable.from(chunksOf(size), { objectMode: false })
}

/** The bytes of `bytesStream(size)`. */
export function bytesOf(size: number): Buffer {
  return Buffer.concat([...chunksOf(size)], size)
}

/** A stream that yields that many bytes and then fails with the error. */
export function failingStream(size: number, error: Error): Readable {
  return Readable.from(
    (function* () {
      yield* chunksOf(size)
      throw error
    })(),
    { objectMode: false },
  )
}

/** A stream that yields that many bytes and then never ends; `stalled` tells when its reader waits. */
export function stalledStream(size: number): { stream: Readable; stalled: Promise<void> } {
  const chunks = chunksOf(size)
  const { promise: stalled, resolve } = Promise.withResolvers<undefined>()
  const stream = new Readable({
    read() {
      const { value, done } = chunks.next()
      if (done === true) resolve(undefined)
      else this.push(value)
    },
  })
  return { stream, stalled }
}

export async function sha256Of(stream: Readable): Promise<string> {
  const hash = createHash('sha256')
  const chunks: AsyncIterable<Buffer> = stream
  for await (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}

const pattern = Buffer.from(
  Array.from({ length: 61 * KiB }, (_, index) => (index * 7919 + (index >> 8)) & 0xff),
)

function* chunksOf(size: number): Generator<Buffer, undefined> {
  for (let sent = 0; sent < size; sent += pattern.length) yield pattern.subarray(0, size - sent)
}
