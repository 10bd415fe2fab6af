import type { Piece } from './pieces.ts'

const MiB = 1024 ** 2

/** The least size of a part that is not the last (S3, "Amazon S3 multipart upload limits"). */
export const minimumPart = 5 * MiB
/** Bytes that are sent in one part. */
export const sentPart = 16 * MiB
/**
 * Bytes that the server is asked to copy at a time. S3 copies up to 5 GiB into a part; of less it can tell
 * sooner that it is done.
 */
export const copiedPart = 1024 * MiB

/** A part of an object: copied by the server from another object, or sent. */
export type PlannedPart =
  | { readonly copy: { readonly object: string; readonly offset: number; readonly length: number } }
  | { readonly send: readonly Piece[] }

/**
 * Cuts pieces into the parts of an S3 upload: large ranges are copied by the server; zeros and ranges that
 * are too small for a part of their own are sent, together with as many bytes of the range behind them as
 * make a part large enough. At most 16 MiB are sent in a part.
 */
export function planParts(pieces: readonly Piece[]): PlannedPart[] {
  const parts: PlannedPart[] = []
  let pending: Piece[] = []
  let pendingLength = 0
  const flush = (): void => {
    if (pending.length > 0) parts.push({ send: pending })
    pending = []
    pendingLength = 0
  }
  const send = (piece: Piece): void => {
    let rest: Piece | undefined = piece
    while (rest !== undefined) {
      const [head, tail] = splitPiece(rest, sentPart - pendingLength)
      pending.push(head)
      pendingLength += head.length
      if (pendingLength === sentPart) flush()
      rest = tail
    }
  }
  for (const piece of pieces) {
    let rest: Piece | undefined = piece
    if (pendingLength > 0 && pendingLength < minimumPart) {
      const [head, tail] = splitPiece(piece, minimumPart - pendingLength)
      send(head)
      rest = tail
    }
    if (rest === undefined) continue
    if ('zeros' in rest || rest.length < minimumPart) {
      send(rest)
      continue
    }
    flush()
    parts.push(...copyEvenly(rest))
  }
  flush()
  return parts
}

/** Equal parts, so that the last is not too small either. */
function copyEvenly({ object, offset, length }: Extract<Piece, { object: string }>): PlannedPart[] {
  const count = Math.ceil(length / copiedPart)
  return Array.from({ length: count }, (_, index) => {
    const from = Math.floor((length * index) / count)
    const to = Math.floor((length * (index + 1)) / count)
    return { copy: { object, offset: offset + from, length: to - from } }
  })
}

function splitPiece(piece: Piece, at: number): [Piece, Piece | undefined] {
  if (piece.length <= at) return [piece, undefined]
  const rest = piece.length - at
  return 'zeros' in piece
    ? [
        { length: at, zeros: true },
        { length: rest, zeros: true },
      ]
    : [
        { ...piece, length: at },
        { ...piece, length: rest, offset: piece.offset + at },
      ]
}
