import type { Redactor } from './redactor.ts'

/** The redactors of what is under way in a process: its log is masked by all of them. */
export class ActiveRedactors {
  readonly #active = new Set<Redactor>()

  /** Masks by this one, too, until the answer is disposed of. */
  use(redactor: Redactor): Disposable {
    this.#active.add(redactor)
    return { [Symbol.dispose]: () => void this.#active.delete(redactor) }
  }

  redact(text: string): string {
    let redacted = text
    for (const redactor of this.#active) redacted = redactor.redact(redacted)
    return redacted
  }
}
