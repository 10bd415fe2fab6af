/** What a piece of a Zstandard file is: the begin of a frame, bytes of it, or its end. */
export type ZstdPiece = { at: 'begin' | 'end' } | { at: 'bytes'; bytes: Buffer }

/** The bytes are not Zstandard frames. */
export class ZstdFormatError extends Error {
  override name = 'ZstdFormatError'
}

type Field = 'magic' | 'descriptor' | 'block-header' | 'skip-size'

const frameMagic = 0xfd2fb528
const skippableMagic = 0x184d2a50
const magicBytes = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])
const maximumBlockSize = 128 * 1024

/**
 * Finds the frames of a Zstandard file (RFC 8878, section 3.1) as its bytes pass, without
 * decompressing them: Node's decoder stops at the end of the first frame and says nothing of what
 * follows, while a file may hold several, skippable ones too. Nothing but frames may follow a frame.
 */
export class ZstdFrames {
  #field: Field = 'magic'
  /** The bytes of the field that have come; small numbers in little-endian order. */
  readonly #collected = Buffer.alloc(4)
  #filled = 0
  #needed = 4
  /** How many bytes pass before the next field is looked at. */
  #passing = 0
  #inFrame = false
  #hasChecksum = false
  #isLast = false
  #frames = 0

  /** How many frames have begun, the skippable ones too. */
  get frames(): number {
    return this.#frames
  }

  /** True at the end of a frame, where a file may end. */
  get isComplete(): boolean {
    return this.#field === 'magic' && this.#filled === 0 && this.#passing === 0
  }

  /** Splits the next bytes of the file. Throws `ZstdFormatError`. */
  *split(chunk: Buffer): Generator<ZstdPiece> {
    let from = 0
    let at = 0
    while (at < chunk.length || (this.#inFrame && this.#passing === 0 && this.#isLast)) {
      if (this.#passing > 0) {
        const passed = Math.min(this.#passing, chunk.length - at)
        this.#passing -= passed
        at += passed
        continue
      }
      if (this.#inFrame && this.#isLast) {
        if (at > from) yield { at: 'bytes', bytes: chunk.subarray(from, at) }
        yield { at: 'end' }
        this.#inFrame = false
        this.#isLast = false
        this.#expect('magic', 4)
        continue
      }
      const copied = chunk.copy(this.#collected, this.#filled, at, at + this.#needed - this.#filled)
      this.#filled += copied
      at += copied
      if (this.#filled < this.#needed) break
      const wasInFrame = this.#inFrame
      this.#readField()
      if (this.#inFrame && !wasInFrame) {
        yield { at: 'begin' }
        yield { at: 'bytes', bytes: magicBytes }
        from = at
      }
    }
    if (this.#inFrame && at > from) yield { at: 'bytes', bytes: chunk.subarray(from, at) }
  }

  #expect(field: Field, size: number): void {
    this.#field = field
    this.#needed = size
    this.#filled = 0
  }

  #readField(): void {
    const value = this.#collected.readUIntLE(0, Math.min(this.#needed, 4))
    switch (this.#field) {
      case 'magic':
        this.#readMagic(value)
        return
      case 'skip-size':
        this.#passing = value
        this.#expect('magic', 4)
        return
      case 'descriptor':
        this.#passing = frameHeaderSize(value)
        this.#hasChecksum = (value & 0b100) !== 0
        this.#expect('block-header', 3)
        return
      default:
        this.#readBlockHeader(value)
    }
  }

  #readMagic(value: number): void {
    this.#frames += 1
    if (value === frameMagic) {
      this.#inFrame = true
      this.#expect('descriptor', 1)
    } else if ((value & 0xfffffff0) >>> 0 === skippableMagic) {
      this.#expect('skip-size', 4)
    } else {
      throw new ZstdFormatError('Bytes that are no Zstandard frame follow the last one.')
    }
  }

  #readBlockHeader(value: number): void {
    const isLast = (value & 1) === 1
    const type = (value >> 1) & 0b11
    const size = value >> 3
    if (type === 3 || size > maximumBlockSize) throw new ZstdFormatError('A block header is not valid.')
    // A run-length block holds the one byte that is repeated.
    this.#passing = type === 1 ? 1 : size
    this.#expect('block-header', 3)
    if (!isLast) return
    this.#isLast = true
    if (this.#hasChecksum) this.#passing += 4
  }
}

/** The size of the rest of a frame header: window descriptor, dictionary id and content size. */
function frameHeaderSize(descriptor: number): number {
  const isSingleSegment = (descriptor & 0b100000) !== 0
  const contentSizeFlag = descriptor >> 6
  const contentSize = contentSizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 2 ** contentSizeFlag
  const dictionaryId = [0, 1, 2, 4][descriptor & 0b11] ?? 0
  return (isSingleSegment ? 0 : 1) + dictionaryId + contentSize
}
