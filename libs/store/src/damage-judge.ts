import { isErrno } from './errno.ts'
import { DamagedObject } from './object-store.ts'
import type { PartClient } from './part-client.ts'
import { AnswerCut, ServerBusy } from './retry.ts'

/** How often an object may be unreadable at the same byte while the server tells of it. */
const maximumFailures = 3

/**
 * Tells an object that is damaged from a server that is away. MinIO checks bytes as it reads them from its
 * disk, and has no error for damaged ones: it answers `SlowDownRead`, or breaks off in the middle of an answer;
 * where what it keeps of the object besides is damaged, it answers 500.
 */
export class DamageJudge {
  readonly #client: PartClient
  readonly #object: { bucket: string; key: string }
  #offset = -1
  #failures = 0

  constructor(client: PartClient, object: { bucket: string; key: string }) {
    this.#client = client
    this.#object = object
  }

  /**
   * Looks at what became of opening the object from a byte on.
   * @throws DamagedObject when that has failed again and again, but nothing else does; what the opening throws
   */
  opening<Result>(offset: number, opened: Promise<Result>): Promise<Result> {
    return this.#judge(
      offset,
      opened,
      (error) => error instanceof ServerBusy && (error.code === 'SlowDownRead' || error.status === 500),
    )
  }

  /** The same for reading from a byte on what was opened. */
  reading<Result>(offset: number, read: Promise<Result>): Promise<Result> {
    return this.#judge(offset, read, (error) => error instanceof AnswerCut || isErrno(error, 'ECONNRESET'))
  }

  async #judge<Result>(
    offset: number,
    attempt: Promise<Result>,
    isUnreadable: (error: unknown) => boolean,
  ): Promise<Result> {
    try {
      return await attempt
    } catch (error) {
      if (!isUnreadable(error)) throw error
      if (offset !== this.#offset) this.#failures = 0
      this.#offset = offset
      this.#failures += 1
      if (this.#failures >= maximumFailures && (await this.#isServerThere())) {
        throw new DamagedObject(this.#object.key, offset, { cause: error })
      }
      throw error
    }
  }

  async #isServerThere(): Promise<boolean> {
    try {
      return await this.#client.bucketExists(this.#object.bucket)
    } catch {
      // The server went away, and these failures say nothing.
      this.#failures = 0
      return false
    }
  }
}
