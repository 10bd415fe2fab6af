import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What one of the real parsers made of a file. */
export type Reading = { values: Record<string, string>; error?: string }

/** Reads `.arg` files with godotenv, the parser of Earthly and EarthBuild, in one process for all. */
export class EarthlyReader implements AsyncDisposable {
  readonly #process
  readonly #answers

  private constructor(program: string) {
    this.#process = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#answers = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
  }

  static async start(): Promise<EarthlyReader> {
    return new EarthlyReader(await buildReader())
  }

  async read(text: string): Promise<Reading> {
    this.#process.stdin.write(`${JSON.stringify(text)}\n`)
    const answer = await this.#answers.next()
    if (answer.done === true) throw new Error('The godotenv reader has ended')
    return JSON.parse(answer.value) as Reading
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'close')
    this.#process.stdin.end()
    await ended
  }
}

/** Builds the reader once for each state of its sources. */
async function buildReader(): Promise<string> {
  const sources = fileURLToPath(new URL('godotenv-reader', import.meta.url))
  const hash = createHash('sha256')
  for (const name of ['go.mod', 'go.sum', 'main.go']) hash.update(await readFile(path.join(sources, name)))
  const cache = fileURLToPath(new URL('../../../node_modules/.cache/edgesmith', import.meta.url))
  const program = path.join(cache, `godotenv-reader-${hash.digest('hex').slice(0, 16)}`)
  const isBuilt = await access(program).then(
    () => true,
    () => false,
  )
  if (isBuilt) return program
  await mkdir(cache, { recursive: true })
  const building = `${program}.${process.pid}`
  await run('go', ['build', '-buildvcs=false', '-trimpath', '-o', building, '.'], { cwd: sources })
  await rename(building, program)
  return program
}

/** Reads `.arg` files with bash's `source`, as CanvOS's `earthly.sh` does, in an empty environment. */
export class BashReader implements AsyncDisposable {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  static async start(): Promise<BashReader> {
    const directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-bash-'))
    // A name that globs and words in values would match, were they expanded.
    await writeFile(path.join(directory, 'A=a'), '')
    return new BashReader(directory)
  }

  /** Sources the text and answers the variables of these names; whatever it runs or prints is an error. */
  async read(text: string, names: string[]): Promise<Reading> {
    const file = path.join(this.#directory, '.arg')
    await writeFile(file, text)
    const script =
      'source ./.arg || exit; while (($#)); do printf "%s\\0%s\\0" "$1" "${!1-(unset)}"; shift; done'
    const { promise, resolve } = Promise.withResolvers<Reading>()
    const command = [
      '-i',
      'PATH=/nowhere',
      '/bin/bash',
      '--noprofile',
      '--norc',
      '-c',
      script,
      'bash',
      ...names,
    ]
    execFile('env', command, { cwd: this.#directory }, (error, stdout, stderr) => {
      const fields = stdout.split('\0')
      const pairs = names.map((_, index) => [fields[2 * index] ?? '', fields[2 * index + 1] ?? ''])
      const complaint =
        error?.message ?? (stderr || (fields.length === 2 * names.length + 1 ? '' : `printed ${stdout}`))
      resolve({
        values: Object.fromEntries(pairs) as Record<string, string>,
        ...(complaint === '' ? {} : { error: complaint }),
      })
    })
    const reading = await promise
    const made = (await readdir(this.#directory)).filter((name) => name !== '.arg' && name !== 'A=a')
    return made.length === 0 ? reading : { ...reading, error: `made ${made.join(' ')}` }
  }

  /** The variables that bash has in an empty environment. */
  async variables(): Promise<string[]> {
    const listed = await run('env', ['-i', '/bin/bash', '--noprofile', '--norc', '-c', 'compgen -v'])
    return listed.stdout.trim().split('\n')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }
}
