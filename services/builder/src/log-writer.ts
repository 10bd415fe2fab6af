import type { BuildEvents } from '@edgesmith/builds/build-events'
import type { BuildRepository } from '@edgesmith/builds/build-repository'
import { advanceBuild } from '@edgesmith/builds/build-state'
import type { BuildProgress } from '@edgesmith/contract/build'
import type { LogEvent } from '@edgesmith/contract/event'
import type { OutputLine } from '@edgesmith/engine/earthly-output'
import type { Redactor } from '@edgesmith/redaction/redactor'

export type LogWriterOptions = {
  readonly repository: BuildRepository
  readonly events: BuildEvents
  readonly buildId: string
  /** The run of the worker, see `BuildRepository.claim`. */
  readonly run: string
  /** Masks what the builder tells itself; lines of the output come masked. */
  readonly redactor: Redactor
}

/** How long lines are gathered before they are written, in milliseconds. */
const gatherMs = 150
/** Lines that may wait; whoever brings more is held up. */
const maxPending = 1000

/**
 * Writes the lines of a running build's log and its progress, in order and in batches. A writer that
 * cannot keep up holds up whoever brings the lines.
 */
export class LogWriter {
  readonly #options: LogWriterOptions
  #pending: LogEvent[] = []
  #progress: BuildProgress | undefined
  #writing: Promise<void> | undefined
  #failure: { error: unknown } | undefined
  /** Ends the gathering of lines. */
  #hurry: (() => void) | undefined

  constructor(options: LogWriterOptions) {
    this.#options = options
  }

  /**
   * Takes lines, and where the build has come to with them.
   * @throws what writing earlier lines failed with, see `BuildEvents.append`
   */
  async write(lines: readonly OutputLine[], progress?: BuildProgress): Promise<void> {
    if (lines.length === 0) return
    const at = new Date().toISOString()
    for (const { line, target } of lines) {
      this.#pending.push({ type: 'log', at, line, ...(target === undefined ? {} : { target }) })
    }
    this.#progress = progress ?? this.#progress
    this.#writing ??= this.#writeAll()
    if (this.#pending.length >= maxPending) {
      this.#hurry?.()
      await this.#writing
    }
    this.#throwFailure()
  }

  /** Tells a line of the builder's own. */
  async say(line: string): Promise<void> {
    await this.write([{ line: `[edgesmith] ${this.#options.redactor.redact(line)}` }])
  }

  /** Waits until everything is written. @throws what writing failed with */
  async flush(): Promise<void> {
    this.#hurry?.()
    await this.#writing
    this.#throwFailure()
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Never rejects: whoever writes or flushes next gets the error. */
  async #writeAll(): Promise<void> {
    try {
      while (this.#pending.length > 0) {
        await this.#gather()
        await this.#writeBatch()
      }
    } catch (error) {
      this.#failure = { error }
    } finally {
      this.#writing = undefined
    }
  }

  async #gather(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const timer = setTimeout(resolve, gatherMs, undefined)
    this.#hurry = () => {
      clearTimeout(timer)
      resolve(undefined)
    }
    await promise
  }

  async #writeBatch(): Promise<void> {
    const { repository, events, buildId, run } = this.#options
    const lines = this.#pending
    const progress = this.#progress
    this.#pending = []
    this.#progress = undefined
    await events.append(buildId, lines, { run })
    if (progress === undefined) return
    const now = new Date()
    await repository.update(buildId, (build) => advanceBuild(build, progress), now, {
      run,
      events: [{ event: { type: 'progress', at: now.toISOString(), progress } }],
    })
  }
}
