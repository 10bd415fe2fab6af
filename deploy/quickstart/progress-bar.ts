import type { BuildProgress } from '@edgesmith/contract/build'
import { formatDuration } from '../setup/progress.ts'

const barWidth = 24

/**
 * Shows how far a build is: on a terminal one line that is drawn again, elsewhere a line for each
 * target. How many steps there will be is not known beforehand: the last build's number is the guess.
 */
export class ProgressBar implements Disposable {
  readonly #stream: NodeJS.WriteStream
  readonly #expectedSteps: number | undefined
  readonly #startedAt = performance.now()
  readonly #timer: NodeJS.Timeout | undefined
  #progress: BuildProgress = { targetsSeen: 0, steps: 0, cachedSteps: 0 }

  constructor(stream: NodeJS.WriteStream, expectedSteps: number | undefined) {
    this.#stream = stream
    this.#expectedSteps = expectedSteps
    if (stream.isTTY) {
      this.#timer = setInterval(() => {
        this.#draw()
      }, 250)
    }
  }

  /** How many steps were seen so far. */
  get steps(): number {
    return this.#progress.steps
  }

  show(progress: BuildProgress): void {
    const isOtherTarget = progress.target !== this.#progress.target
    this.#progress = progress
    if (this.#stream.isTTY) this.#draw()
    else if (isOtherTarget) this.#stream.write(`${this.#describe()}\n`)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    if (this.#stream.isTTY) this.#stream.write('\r\u001b[2K')
  }

  #draw(): void {
    const line = `${this.#bar()} ${this.#describe()}`
    const columns = this.#stream.columns > 0 ? this.#stream.columns : 80
    this.#stream.write(`\r\u001b[2K${line.slice(0, columns - 1)}`)
  }

  #describe(): string {
    const { target = 'waiting', steps, cachedSteps } = this.#progress
    return `${target}  ${steps} steps, ${cachedSteps} cached, ${formatDuration(performance.now() - this.#startedAt)}`
  }

  /** A share of the expected steps; a block that moves where there is no expectation. */
  #bar(): string {
    if (this.#expectedSteps === undefined) {
      const at = Math.floor((performance.now() - this.#startedAt) / 250) % (barWidth - 3)
      return `[${' '.repeat(at)}███${' '.repeat(barWidth - 3 - at)}]`
    }
    const share = Math.min(this.#progress.steps / this.#expectedSteps, 1)
    const filled = Math.round(share * barWidth)
    return `[${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}] ${String(Math.floor(share * 100)).padStart(3)}%`
  }
}
