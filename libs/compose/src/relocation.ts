import { sectorSize } from '@edgesmith/iso/volume'

/** A place of a draft of an image where a file's content goes; all in bytes, `offset` a whole sector. */
export type Place = {
  offset: number
  /** What lies there in the draft. */
  draftLength: number
  /** What is to lie there. */
  length: number
}

/** Bytes that take the place of others in the draft. */
export type DraftPatch = { offset: number; bytes: Buffer }

/**
 * How an image grows when the contents of files that were drafted small take their full size: everything
 * behind them moves back by whole sectors.
 */
export class Relocation {
  readonly places: readonly Place[]

  constructor(places: readonly Place[]) {
    this.places = [...places].sort((a, b) => a.offset - b.offset)
  }

  /** Where the first content begins that grows; nothing before it moves. */
  get start(): number {
    return (
      this.places.find(({ draftLength, length }) => draftLength !== length)?.offset ??
      Number.POSITIVE_INFINITY
    )
  }

  /** Where a byte of the draft lies in the image. */
  move(offset: number): number {
    let moved = offset
    for (const place of this.places) {
      if (place.offset >= offset) break
      moved += roundUp(place.length) - roundUp(place.draftLength)
    }
    return moved
  }

  /** Where a number of units, of `unit` bytes from `base` on, ends. */
  moveUnits(units: number, unit: number, base = 0): number {
    return (this.move(base + units * unit) - this.move(base)) / unit
  }
}

/** The bytes of whole sectors. */
export function roundUp(length: number): number {
  return Math.ceil(length / sectorSize) * sectorSize
}
