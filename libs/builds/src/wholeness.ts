import { ProblemError } from '@edgesmith/contract/problem'

/** Seconds after which a client should come again while Redis is filled again. */
const retryAfterSeconds = 5

/**
 * Whether Redis has everything that is recorded in the object store. One that has lost it, and does not have it back
 * yet, does not know what there is: what is not found there may well be, and what it lists is not all.
 */
export class Wholeness {
  readonly #isWhole: (() => Promise<boolean>) | undefined

  /** Left out where Redis is taken for whole: for workers, which are told of what they do. */
  constructor(isWhole?: () => Promise<boolean>) {
    this.#isWhole = isWhole
  }

  /** @throws ProblemError `upstream-unavailable` while Redis does not have everything, or is away */
  async assert(): Promise<void> {
    if (this.#isWhole === undefined || (await this.#isWhole())) return
    throw new ProblemError(
      'upstream-unavailable',
      'The database of builds has lost what it had, and is filled again from the records. Try again later.',
      { headers: { 'retry-after': String(retryAfterSeconds) } },
    )
  }

  /**
   * Looks for what may not be there. What is not found is looked for once more when Redis has everything, which it
   * may have got back in between.
   * @throws ProblemError `upstream-unavailable` where it cannot be told
   */
  async find<Found>(look: () => Promise<Found | undefined>): Promise<Found | undefined> {
    const found = await look()
    if (found !== undefined || this.#isWhole === undefined) return found
    await this.assert()
    return look()
  }

  /**
   * Reads what is only right when Redis has everything from the beginning to the end.
   * @throws ProblemError `upstream-unavailable` where it does not
   */
  async during<Read>(read: () => Promise<Read>): Promise<Read> {
    await this.assert()
    const all = await read()
    await this.assert()
    return all
  }
}
