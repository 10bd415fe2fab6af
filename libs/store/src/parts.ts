import type { Readable } from 'node:stream'

/** A piece of a stream; parts count from 1. Its bytes are the consumer's until it recycles them. */
export type Part = { number: number; bytes: Buffer }

const firstPartSize = 8 * 1024 * 1024
const partsOfOneSize = 2500

/**
 * Size in bytes of a part of an upload whose whole size is unknown. S3 takes at most 10,000 parts,
 * all but the last of at least 5 MiB, and they need not be equal: 8 MiB at first, doubled after
 * every 2500 parts, they hold 293 GiB together while an object under 19 GiB is sent from small
 * buffers.
 */
export function partSize(number: number): number {
  return firstPartSize * 2 ** Math.floor((number - 1) / partsOfOneSize)
}

/** How many bytes the parts before a part have, when all have their size. */
export function partOffset(number: number): number {
  let offset = 0
  let before = number - 1
  for (let size = firstPartSize; before > 0; size *= 2) {
    const ofThisSize = Math.min(before, partsOfOneSize)
    offset += ofThisSize * size
    before -= ofThisSize
  }
  return offset
}

/** Buffers that no one uses now; a few are kept for the next upload. */
const idle: Buffer[] = []
const maximumIdle = 3

/**
 * Buffers that are used again, so that memory does not grow until the next garbage collection.
 * Disposing hands those that were recycled on to whoever needs some next.
 */
export class PartBuffers implements Disposable {
  #free: Buffer[] = []

  take(size: number): Buffer {
    this.#free = this.#free.filter((buffer) => buffer.length === size)
    const found = this.#free.pop()
    if (found !== undefined) return found
    return (idle.at(-1)?.length === size ? idle.pop() : undefined) ?? Buffer.allocUnsafeSlow(size)
  }

  /** Takes back a buffer, or the filled beginning of one. */
  recycle(bytes: Buffer): void {
    this.#free.push(Buffer.from(bytes.buffer))
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#free.splice(0)) {
      if (buffer.length === firstPartSize && idle.length < maximumIdle) idle.push(buffer)
    }
  }
}

/**
 * Cuts a stream into parts, the last of any size. There is always one, if only an empty one. Reads
 * no further than the consumer asks, and destroys the stream when the consumer stops early.
 */
export async function* cutIntoParts(source: Readable, buffers: PartBuffers): AsyncGenerator<Part> {
  let number = 1
  let buffer = buffers.take(partSize(number))
  let filled = 0
  const chunks: AsyncIterable<Buffer> = source
  for await (const chunk of chunks) {
    for (let taken = 0; taken < chunk.length;) {
      const copied = chunk.copy(buffer, filled, taken)
      taken += copied
      filled += copied
      if (filled === buffer.length) {
        yield { number, bytes: buffer }
        number += 1
        buffer = buffers.take(partSize(number))
        filled = 0
      }
    }
  }
  if (filled > 0 || number === 1) yield { number, bytes: buffer.subarray(0, filled) }
  else buffers.recycle(buffer)
}
