import { StringDecoder } from 'node:string_decoder'
import { stripVTControlCharacters } from 'node:util'
import type { BuildProgress } from '@edgesmith/contract/build'
import { Redactor, type ConsecutiveRedactor } from '@edgesmith/redaction/redactor'

/** One line that Earthly printed, as a person reads it, and the target it belongs to. */
export type OutputLine = { readonly line: string; readonly target?: string }

/** Why the daemon ended a step, or did not begin it. */
export type HeldStep = {
  readonly code: 'out-of-memory' | 'disk-full' | 'refused'
  readonly reason: string
  readonly target: string | undefined
}

/** Characters of a line that are kept. */
const maxLineLength = 8192
/** Distinct targets that are told apart. */
const maxTargets = 10_000
/** Distinct images that are told. */
const maxImages = 1000
/** Lines kept to tell how a build ended, and the characters kept of each. */
const tailLength = 30
const tailLineLength = 500

/**
 * `+iso | --> RUN …`, `+iso *failed* | …`, `+iso *local* | *cached* --> COPY …`: the prefix is a target, an
 * image or a part of Earthly (conslogging.go, `printPrefix`).
 */
const prefixed =
  /^ *(?<prefix>\S+)(?<flags>(?: \*(?:local|failed)\*)*) \| (?<cached>\*cached\* )?(?<text>.*)$/

/** `+iso`, `./dir+iso`, `github.com/org/repo:main+iso`, with the URL it came from in brackets or not. */
const targetPrefix = /^(?<target>[^()\s]*\+[A-Za-z][A-Za-z0-9._-]*)(?:\(.*\))?$/

/** Behind an error without a command, the targets that led to it, the innermost first: `in\t\t+iso`. */
const errorOrigin = /^(?:\S+ \| )?in\t+(?<target>[^\s+]*\+\S+)$/

/** The prefix of the steps of a `FROM DOCKERFILE`: `4/9`. */
const dockerfileStep = /^\d+\/\d+$/

/** What tells nothing of a failure: the arguments of a command, and how to debug it at a terminal. */
const assignment = /^[A-Za-z_][A-Za-z0-9_]*=\S*$/
const help = 'Help: To debug your build'

function isNoise(line: string): boolean {
  return (
    line.startsWith(help) ||
    line
      .trimEnd()
      .split(' ')
      .every((word) => assignment.test(word))
  )
}

/** What the daemon says in the output of a step that it held (libs/engine/daemon). */
const heldStep = /^\[edgesmith\] (?<code>out-of-memory|disk-full|refused): (?<reason>.*)$/

/** How an image is announced that is looked up at its registry. */
const imageText = /^--> Load metadata (?<reference>\S+) \S+$/

/** What a command of the Earthfile is announced with; image metadata is announced alike. */
const commandText = /^--> (?!Load metadata )/

/**
 * Reads the output of Earthly 0.8 and EarthBuild 0.8 piece by piece, as it comes, wherever it is cut:
 * lines without terminal control, where the build is, and which target failed.
 */
export class EarthlyOutput {
  readonly #redactor: Redactor
  /** By what the lines begin with: targets print at the same time. */
  readonly #redactors = new Map<string, ConsecutiveRedactor>()
  readonly #decoder = new StringDecoder('utf8')
  readonly #targets = new Set<string>()
  readonly #images = new Set<string>()
  readonly #tail: string[] = []
  #partial = ''
  #omitted = 0
  #afterReturn = false
  #target: string | undefined
  #steps = 0
  #cachedSteps = 0
  #failingTarget: string | undefined
  #dockerfileTarget: string | undefined
  #held: HeldStep | undefined

  /** @param redactor masks what is told of the output: in lines, and in the tail */
  constructor(redactor = new Redactor()) {
    this.#redactor = redactor
  }

  /** Takes the next bytes; answers the lines that they complete. */
  push(chunk: Uint8Array): OutputLine[] {
    return this.#take(this.#decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)))
  }

  /** The output is over; answers the line that has no end, if there is one. */
  end(): OutputLine[] {
    const lines = this.#take(this.#decoder.end())
    if (this.#partial !== '') lines.push(this.#complete())
    return lines
  }

  /** Where the build is. */
  get progress(): BuildProgress {
    return {
      ...(this.#target === undefined ? {} : { target: this.#target }),
      targetsSeen: this.#targets.size,
      steps: this.#steps,
      cachedSteps: this.#cachedSteps,
    }
  }

  /** References of the images that were looked up at their registries, in the order of their first use. */
  get images(): string[] {
    return [...this.#images]
  }

  /** Another run of Earthly begins: where the last one came to, and how it failed, is forgotten. */
  restart(): void {
    this.#take(this.#decoder.end())
    this.#partial = ''
    this.#omitted = 0
    this.#afterReturn = false
    this.#target = undefined
    this.#steps = 0
    this.#cachedSteps = 0
    this.#failingTarget = undefined
    this.#dockerfileTarget = undefined
    this.#held = undefined
    this.#targets.clear()
    this.#images.clear()
  }

  /** The target that Earthly named as failed. */
  get failingTarget(): string | undefined {
    return this.#failingTarget
  }

  /** The step that the daemon held last, where it is one of the target that failed. */
  get heldStep(): HeldStep | undefined {
    const held = this.#held
    return this.#failingTarget === undefined || held?.target === this.#failingTarget ? held : undefined
  }

  /** The last lines that tell something, each cut to a readable length. */
  get tail(): string[] {
    return [...this.#tail]
  }

  #take(text: string): OutputLine[] {
    const lines: OutputLine[] = []
    for (const piece of text.split(/(\r\n|\n|\r)/)) {
      if (piece === '\n' || piece === '\r\n') lines.push(this.#complete())
      else if (piece === '\r') this.#afterReturn = true
      else if (piece !== '') this.#extend(piece)
    }
    return lines
  }

  #extend(piece: string): void {
    // A carriage return goes back to the start of the line: what comes next is written over it.
    if (this.#afterReturn) {
      this.#partial = ''
      this.#omitted = 0
      this.#afterReturn = false
    }
    const room = Math.max(0, maxLineLength - this.#partial.length)
    this.#partial += piece.slice(0, room)
    this.#omitted += Math.max(0, piece.length - room)
  }

  #complete(): OutputLine {
    const omission = this.#omitted === 0 ? '' : `… [${this.#omitted} characters left out]`
    const line = stripVTControlCharacters(this.#partial)
      .replaceAll(/[^\P{Cc}\t]/gu, '')
      .toWellFormed()
    this.#partial = ''
    this.#omitted = 0
    this.#afterReturn = false
    return this.#interpret(line, omission)
  }

  #interpret(text: string, omission: string): OutputLine {
    const groups = prefixed.exec(text)?.groups
    const content = groups?.['text'] ?? text
    const head = text.slice(0, text.length - content.length)
    const told = `${this.#redactor.redact(head)}${this.#redact(groups?.['prefix'] ?? '', content)}${omission}`
    const line = groups === undefined ? told.trimEnd() : told.trim()
    this.#keep(line, content)
    const image = imageText.exec(content)?.groups?.['reference']
    if (image !== undefined && this.#images.size < maxImages) this.#images.add(image)
    const target = this.#targetOf(groups?.['prefix'] ?? '')
    const hasFailed = groups?.['flags']?.includes('*failed*') === true
    const held = heldStep.exec(content)?.groups
    if (held !== undefined) {
      const code = held['code'] as HeldStep['code']
      this.#held = { code, reason: held['reason'] ?? '', target }
    }
    this.#failingTarget ??= hasFailed ? target : errorOrigin.exec(text.trim())?.groups?.['target']
    if (target === undefined) return { line }
    if (content === '--> FROM DOCKERFILE') this.#dockerfileTarget = target
    // What follows a failure repeats it, or is dragged along.
    if (this.#failingTarget === undefined) this.#advance(target, content, groups?.['cached'] !== undefined)
    return { line, target }
  }

  /** Masks the content of a line, with regard to the lines before that begin alike. */
  #redact(prefix: string, content: string): string {
    let redactor = this.#redactors.get(prefix)
    if (redactor === undefined) {
      redactor = this.#redactor.consecutive()
      if (this.#redactors.size < maxTargets) this.#redactors.set(prefix, redactor)
    }
    return redactor.redact(content)
  }

  #keep(line: string, content: string): void {
    if (isNoise(content)) return
    this.#tail.push(line.length > tailLineLength ? `${line.slice(0, tailLineLength)}…` : line)
    if (this.#tail.length > tailLength) this.#tail.shift()
  }

  #targetOf(prefix: string): string | undefined {
    if (dockerfileStep.test(prefix)) return this.#dockerfileTarget
    return targetPrefix.exec(prefix)?.groups?.['target']
  }

  #advance(target: string, content: string, cached: boolean): void {
    if (this.#targets.size < maxTargets) this.#targets.add(target)
    this.#target = target
    if (!commandText.test(content)) return
    this.#steps += 1
    if (cached) this.#cachedSteps += 1
  }
}
