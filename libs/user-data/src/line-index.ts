/** Line and column in a text, both from 1; the column counts characters, not UTF-16 units. */
export type Position = { line: number; column: number }

/** Turns offsets in a text into lines and columns. */
export class LineIndex {
  readonly #text: string
  #starts: number[] | undefined

  constructor(text: string) {
    this.#text = text
  }

  /** The position of an offset in UTF-16 units; an offset beyond the text is taken as its end. */
  position(offset: number): Position {
    const starts = (this.#starts ??= lineStarts(this.#text))
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    const before = this.#text.slice(starts[low], offset)
    return { line: low + 1, column: Array.from(before).length + 1 }
  }
}

function lineStarts(text: string): number[] {
  const starts = [0]
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', end + 1)) starts.push(end + 1)
  return starts
}
