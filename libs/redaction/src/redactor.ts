import { shortestForm, writtenForms } from './written-forms.ts'

/** What stands in place of a secret. */
export const mask = '***'

/** Characters that a form is looked up by. */
const gramLength = 3

/** Characters of a secret at the end of a line that are masked, though the rest has not been seen. */
const tellingLength = 5

/** A stretch of a text, from its first character to the one behind its last. */
type Stretch = { readonly start: number; readonly end: number }

/**
 * Masks secrets in texts, in every form of `writtenForms`. Values shorter than `shortestForm` are masked only where
 * they stand by themselves, and not at all where they are plain words: a log is full of those.
 */
export class Redactor {
  readonly #forms = new Set<string>()
  /** Forms by their first characters, and which first characters there are, roughly. */
  readonly #byGram = new Map<string, string[]>()
  readonly #beginnings = new Uint8Array(1 << 16)
  /** First characters of forms, fewer than a gram. */
  readonly #starts = new Set<string>()
  readonly #words = new Set<string>()
  #longest = 0

  constructor(secrets: Iterable<string> = []) {
    this.add(secrets)
  }

  /** Masks these, too, from now on. */
  add(secrets: Iterable<string>): void {
    for (const secret of secrets) {
      for (const form of writtenForms(secret)) this.#addForm(form)
      if (isShort(secret)) this.#words.add(secret)
    }
  }

  #addForm(form: string): void {
    if (this.#forms.has(form)) return
    this.#forms.add(form)
    const gram = form.slice(0, gramLength)
    const known = this.#byGram.get(gram)
    if (known === undefined) this.#byGram.set(gram, [form])
    else known.push(form)
    this.#beginnings[hashAt(form, 0)] = 1
    for (let length = 1; length < gramLength; length += 1) this.#starts.add(form.slice(0, length))
    this.#longest = Math.max(this.#longest, form.length)
  }

  /** The text with every secret masked. */
  redact(text: string): string {
    return this.#withoutWords(masked(text, this.#found(text), 0))
  }

  /** The value with every secret in its strings masked; the names of members are kept. */
  redactAll<T>(value: T): T {
    return this.#redactAny(value) as T
  }

  #redactAny(value: unknown): unknown {
    if (typeof value === 'string') return this.redact(value)
    if (Array.isArray(value)) return value.map((item) => this.#redactAny(item))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.#redactAny(item)]))
  }

  /** Redacts texts that follow each other, such as lines: also a secret that goes on in the next ones. */
  consecutive(): ConsecutiveRedactor {
    let carried = ''
    return {
      redact: (text) => {
        const whole = carried + text
        const found = this.#found(whole)
        const pending = this.#pendingFrom(whole)
        if (whole.length - pending >= tellingLength) found.push({ start: pending, end: whole.length })
        const answer = this.#withoutWords(masked(whole, found, carried.length))
        carried = whole.slice(pending)
        return answer
      },
    }
  }

  /** Where forms are in a text, in the order of where they begin. */
  #found(text: string): Stretch[] {
    const found: Stretch[] = []
    const last = text.length - shortestForm
    for (let start = 0; start <= last; start += 1) {
      if (this.#beginnings[hashAt(text, start)] === 0) continue
      let end = start
      for (const form of this.#byGram.get(text.slice(start, start + gramLength)) ?? []) {
        if (start + form.length > end && text.startsWith(form, start)) end = start + form.length
      }
      if (end > start) found.push({ start, end })
    }
    return found
  }

  /** Where the longest beginning of a form that the text ends with starts; its end when there is none. */
  #pendingFrom(text: string): number {
    for (let start = Math.max(0, text.length - this.#longest + 1); start < text.length; start += 1) {
      const rest = text.length - start
      if (rest < gramLength) {
        if (this.#starts.has(text.slice(start))) return start
        continue
      }
      if (this.#beginnings[hashAt(text, start)] === 0) continue
      const forms = this.#byGram.get(text.slice(start, start + gramLength))
      const end = text.slice(start)
      if (forms?.some((form) => form.length > rest && form.startsWith(end)) === true) return start
    }
    return text.length
  }

  #withoutWords(text: string): string {
    if (this.#words.size === 0) return text
    return text.replaceAll(/[^\s"'`=:,;()[\]{}<>|@]+/g, (word) => (this.#words.has(word) ? mask : word))
  }
}

/** Redacts texts one after the other. */
export type ConsecutiveRedactor = {
  /** The text, masked with regard to those before. */
  readonly redact: (text: string) => string
}

/** Short, and not a word or a number that stands for itself anywhere. */
function isShort(secret: string): boolean {
  return secret.length >= 4 && secret.length < shortestForm && !/^([A-Za-z]+|\d+)$/.test(secret)
}

function hashAt(text: string, at: number): number {
  return (text.charCodeAt(at) * 961 + text.charCodeAt(at + 1) * 31 + text.charCodeAt(at + 2)) & 0xffff
}

/** The text from an index on, with stretches masked; those that touch or overlap share a mask. */
function masked(text: string, stretches: readonly Stretch[], from: number): string {
  let answer = ''
  let at = from
  for (const { start, end } of stretches.toSorted((a, b) => a.start - b.start)) {
    if (end <= at) continue
    const isJoined = start <= at && answer.endsWith(mask)
    answer += text.slice(at, Math.max(at, start)) + (isJoined ? '' : mask)
    at = end
  }
  return answer + text.slice(at)
}
