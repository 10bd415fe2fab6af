/** Ends when all who took a turn so far are done. A turn of this process: each has processors of its own. */
let taken: Promise<unknown> = Promise.resolve()

/**
 * Does something that reads and hashes a whole image once all before it are done: two at a time would take
 * as long, and leave nothing for downloads. Must not be called by what has the turn.
 */
export function inHashingTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const turn = taken.then(work)
  taken = turn.catch(() => undefined)
  return turn
}
