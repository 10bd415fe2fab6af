import type { Readable } from 'node:stream'

/** Bytes before each piece of output: the stream's number, three zeros and the size (Docker, "attach"). */
const headerSize = 8

/**
 * Reads what Docker sends for an attached container without a terminal: standard output and standard
 * error, in the order they were written. Reads no faster than the consumer, so that a container that
 * prints more than can be kept is slowed down.
 * @throws Error when the stream breaks off inside a piece
 */
export async function* readOutput(attached: Readable): AsyncGenerator<Buffer> {
  let pending: Buffer = Buffer.alloc(0)
  let remaining = 0
  const chunks: AsyncIterable<Buffer> = attached
  for await (const chunk of chunks) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    for (;;) {
      if (remaining === 0) {
        if (pending.length < headerSize) break
        remaining = pending.readUInt32BE(4)
        pending = pending.subarray(headerSize)
        if (remaining === 0) continue
      }
      if (pending.length === 0) break
      const piece = pending.subarray(0, remaining)
      remaining -= piece.length
      pending = pending.subarray(piece.length)
      yield piece
    }
  }
  if (remaining > 0 || pending.length > 0) throw new Error('The output of the container broke off.')
}
