import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { PartBuffers, partOffset, partSize } from '@edgesmith/store/parts'
import { recordPrefix, writeRecord } from './resumable-record.ts'
import type { ResumableRecord } from './resumable-record.ts'
import { countYoungGarbage } from './young-garbage.ts'

/**
 * Writes the bytes of one request behind those a resumable upload has. They are cut into the parts of
 * the object; what does not fill a part is kept as an object of its own, the tail, for the next
 * request to begin with. One part is being sent while the next is filled.
 */
export class PartWriter {
  readonly #store: ObjectStore
  readonly #buffers = new PartBuffers()
  #record: ResumableRecord
  #bytes: Buffer
  #filled = 0
  /** How many bytes of the buffer came out of the tail. */
  #fromTail = 0
  #sent: Promise<void> = Promise.resolve()
  #parts: number

  constructor(store: ObjectStore, record: ResumableRecord) {
    this.#store = store
    this.#record = record
    this.#parts = record.parts
    this.#bytes = this.#buffers.take(partSize(record.parts + 1))
  }

  /** Stores what the source yields; the answer is the record as it is then. */
  async write(source: Readable, { isAtomic }: { isAtomic: boolean }): Promise<ResumableRecord> {
    await this.#readTail()
    let isWhole = false
    try {
      const chunks: AsyncIterable<Buffer> = source
      for await (const chunk of chunks) await this.#append(chunk, { isAtomic })
      isWhole = true
    } finally {
      await this.#sent
      if (isWhole || !isAtomic) await this.#flush()
      this.#buffers.recycle(this.#bytes)
      this.#buffers[Symbol.dispose]()
    }
    return this.#record
  }

  async #readTail(): Promise<void> {
    const { tail } = this.#record
    if (tail === undefined) return
    const bytes = await buffer(await this.#store.get(tail.key))
    this.#filled = bytes.copy(this.#bytes)
    this.#fromTail = this.#filled
  }

  async #append(chunk: Buffer, { isAtomic }: { isAtomic: boolean }): Promise<void> {
    countYoungGarbage(chunk.length)
    for (let taken = 0; taken < chunk.length;) {
      const copied = chunk.copy(this.#bytes, this.#filled, taken)
      taken += copied
      this.#filled += copied
      if (this.#filled < this.#bytes.length) continue
      await this.#sent
      const bytes = this.#bytes
      this.#parts += 1
      this.#sent = this.#send(this.#parts, bytes, { isAtomic })
      // It is awaited before the next part is sent, and at the end.
      this.#sent.catch(() => undefined)
      this.#bytes = this.#buffers.take(partSize(this.#parts + 1))
      this.#filled = 0
      this.#fromTail = 0
    }
  }

  async #send(number: number, bytes: Buffer, { isAtomic }: { isAtomic: boolean }): Promise<void> {
    await this.#store.putPart(this.#record.object, number, bytes)
    this.#buffers.recycle(bytes)
    if (!isAtomic) await this.#save({ parts: number, received: partOffset(number + 1) })
  }

  /** Stores what fills no part: as the last part when it is the end of the file, else as the tail. */
  async #flush(): Promise<void> {
    const received = partOffset(this.#parts + 1) + this.#filled
    if (this.#filled === this.#fromTail && this.#parts === this.#record.parts) return
    const rest = this.#bytes.subarray(0, this.#filled)
    if (rest.length === 0) {
      await this.#save({ parts: this.#parts, received })
    } else if (received === this.#record.size) {
      await this.#store.putPart(this.#record.object, this.#parts + 1, rest)
      await this.#save({ parts: this.#parts + 1, received })
    } else {
      const tail = { key: `${recordPrefix(this.#record.id)}tail/${randomUUID()}`, size: rest.length }
      await this.#store.put(tail.key, rest)
      await this.#save({ parts: this.#parts, received, tail })
    }
  }

  /** Writes the record, and removes the tail it no longer speaks of. */
  async #save(progress: Pick<ResumableRecord, 'parts' | 'received' | 'tail'>): Promise<void> {
    const { tail: before, ...rest } = this.#record
    this.#record = { ...rest, ...progress }
    await writeRecord(this.#store, this.#record)
    if (before !== undefined) await this.#store.remove(before.key)
  }
}
