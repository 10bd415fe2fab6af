import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { glob, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { ProblemError } from '@edgesmith/contract/problem'
import type { CanvosRelease } from '@edgesmith/contract/release'
import { lockFile } from './directory-lock.ts'
import { git, GitError, withoutCredentials } from './git.ts'
import { isPrerelease, isReleaseTag, newestFirst } from './tag.ts'

export type MirrorOptions = {
  /** URL (https, ssh, git, file) or local path of the CanvOS repository. */
  repository: string
  /** Directory of the mirror; made when it isn't there. Several processes may share it. */
  directory: string
  /** Ends what is under way when the service shuts down. */
  signal?: AbortSignal
  /** Time limit of one fetch, in milliseconds. */
  fetchTimeoutMs?: number
  /** After a fetch that failed, how long a mirror that exists is used without another try, in milliseconds. */
  retryAfterMs?: number
  /** A tag that isn't known is looked for at the remote at most this often, in milliseconds. */
  lookupIntervalMs?: number
}

export type Freshness = {
  /** When the mirror was last brought up to date, in milliseconds since 1970. */
  refreshedAt: number
  /** True when the mirror is older than asked for because the remote cannot be reached. */
  stale: boolean
  /** Why the remote could not be reached. */
  reason?: string
}

export type ResolvedTag = { tag: string; commit: string }

/** A file of CanvOS, and what its text means. */
export type ReleaseFile<Content> = {
  /** Relative to the root of CanvOS. */
  path: string
  /** Pure; throws where the file is not what CanvOS documents. The tag is for the message alone. */
  parse: (text: string, tag: string) => Content
}

/** The mirror has no such tag. */
export class UnknownTagError extends Error {
  override name = 'UnknownTagError'
}

const LastRefresh = Type.Object({ repository: Type.String(), refreshedAt: Type.Number() })
type LastRefresh = Static<typeof LastRefresh>

const stateFile = 'edgesmith-refresh.json'
const lockName = 'edgesmith-refresh.flock'
const allTags = '+refs/tags/*:refs/tags/*'

/** Opens the local bare mirror of a CanvOS repository. Nothing is fetched before the first question. */
export function openMirror(options: MirrorOptions): Mirror {
  return new Mirror(options)
}

/**
 * A local bare mirror of CanvOS's tags. Every method fetches first when there is no mirror yet, and
 * throws a `ProblemError` of code `upstream-unavailable` when that fails.
 */
export class Mirror {
  readonly repository: string
  readonly #directory: string
  readonly #options: MirrorOptions
  #fetching: Promise<Freshness> | undefined
  #failure: { at: number; reason: string } | undefined
  #state: { version: string; last: LastRefresh | undefined } | undefined
  #answers: { refreshedAt: number | undefined; known: Map<string, unknown> } = {
    refreshedAt: undefined,
    known: new Map(),
  }

  constructor(options: MirrorOptions) {
    this.repository = withoutCredentials(options.repository)
    this.#directory = path.resolve(options.directory)
    this.#options = options
  }

  /** Brings the mirror up to date when it is older than `maxAgeMs`; 0 always asks the remote. */
  async refresh(maxAgeMs: number): Promise<Freshness> {
    const last = await this.#lastRefresh()
    if (last !== undefined) {
      if (Date.now() - last.refreshedAt < maxAgeMs) return { refreshedAt: last.refreshedAt, stale: false }
      const failure = this.#failure
      if (failure !== undefined && Date.now() - failure.at < (this.#options.retryAfterMs ?? 30_000)) {
        return { refreshedAt: last.refreshedAt, stale: true, reason: failure.reason }
      }
    }
    this.#fetching ??= this.#fetch().finally(() => (this.#fetching = undefined))
    return this.#fetching
  }

  /** The releases of the mirror, newest first. Tags that are no versions, such as `v4.9.a`, are left out. */
  async releases(): Promise<readonly CanvosRelease[]> {
    return this.#remember('releases', () => this.#readReleases())
  }

  async #readReleases(): Promise<CanvosRelease[]> {
    const fields = [
      'refname:strip=2',
      'objecttype',
      'objectname',
      '*objecttype',
      '*objectname',
      'committerdate:unix',
      '*committerdate:unix',
    ]
    const lines = await this.#git([
      'for-each-ref',
      `--format=${fields.map((field) => `%(${field})`).join('%09')}`,
      'refs/tags',
    ])
    const releases: CanvosRelease[] = []
    for (const line of lines.split('\n')) {
      const [tag = '', type, object, peeledType, peeled, date, peeledDate] = line.split('\t')
      const [commit, seconds] =
        type === 'commit' ? [object, date] : peeledType === 'commit' ? [peeled, peeledDate] : []
      if (!isReleaseTag(tag) || commit === undefined) continue
      releases.push({
        tag,
        commit,
        committedAt: new Date(Number(seconds) * 1000).toISOString(),
        prerelease: isPrerelease(tag),
      })
    }
    return releases.sort((one, other) => newestFirst(one.tag, other.tag))
  }

  /** The commit of a tag; looks for the tag at the remote once when the mirror has no such tag. */
  async resolveTag(tag: string): Promise<ResolvedTag | undefined> {
    if (!isReleaseTag(tag)) return undefined
    const known = await this.#commit(tag)
    if (known !== undefined) return { tag, commit: known }
    await this.refresh(this.#options.lookupIntervalMs ?? 2000)
    const found = await this.#commit(tag)
    return found === undefined ? undefined : { tag, commit: found }
  }

  /** The text of a file at a tag; undefined when the tag or the file isn't there. */
  async readFile(tag: string, file: string): Promise<string | undefined> {
    if (!isReleaseTag(tag)) return undefined
    return this.#remember(`file ${tag} ${file}`, async () => {
      const object = await this.#parse(`refs/tags/${tag}^{commit}:${file}`)
      return object === undefined ? undefined : this.#git(['cat-file', 'blob', object])
    })
  }

  /**
   * What a file says at a tag; undefined when the tag or the file isn't there. It is parsed once between
   * two fetches: what is answered belongs to all who ask, who must not change it.
   */
  async readParsed<Content>(
    tag: string,
    { path: file, parse }: ReleaseFile<Content>,
  ): Promise<Readonly<Content> | undefined> {
    return this.#remember(`parsed ${tag} ${file}`, async () => {
      const text = await this.readFile(tag, file)
      return text === undefined ? undefined : parse(text, tag)
    })
  }

  /**
   * Makes an unmodified working tree of a tag, a git repository of its own that holds that one commit.
   *
   * @param directory Where to; must not exist or be empty.
   * @throws {UnknownTagError} when there is no such tag.
   */
  async checkout(
    tag: string,
    directory: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<ResolvedTag> {
    const resolved = await this.resolveTag(tag)
    if (resolved === undefined) throw new UnknownTagError(`${this.repository} has no tag ${tag}`)
    const target = path.resolve(directory)
    const source = pathToFileURL(this.#directory).href
    const clone = ['clone', '--quiet', '--depth', '1', '--template=', `--branch=${tag}`, '--', source, target]
    await git(clone, { signal: options.signal ?? this.#options.signal, timeoutMs: 300_000 })
    await git(['remote', 'set-url', '--', 'origin', this.repository], { directory: target })
    const commit = (await git(['rev-parse', '--verify', 'HEAD^{commit}'], { directory: target })).trim()
    return { tag, commit }
  }

  async #fetch(): Promise<Freshness> {
    const began = Date.now()
    const timeoutMs = this.#options.fetchTimeoutMs ?? 120_000
    try {
      await mkdir(this.#directory, { recursive: true })
      await using held = new AsyncDisposableStack()
      held.use(await lockFile(path.join(this.#directory, lockName), timeoutMs, this.#options.signal))
      const before = await this.#lastRefresh()
      if (before !== undefined && before.refreshedAt >= began)
        return { refreshedAt: before.refreshedAt, stale: false }
      await this.#removeLeftovers()
      const options = { directory: this.#directory, signal: this.#options.signal, timeoutMs }
      await git(['init', '--quiet', '--bare', '--template='], options)
      const repository = this.#options.repository
      await git(
        [
          'fetch',
          '--quiet',
          '--force',
          '--prune',
          '--no-tags',
          '--no-write-fetch-head',
          '--',
          repository,
          allTags,
        ],
        options,
      )
      const refreshedAt = Date.now()
      await this.#noteRefresh(refreshedAt)
      this.#failure = undefined
      return { refreshedAt, stale: false }
    } catch (error) {
      this.#options.signal?.throwIfAborted()
      const reason = error instanceof Error ? error.message : String(error)
      const last = await this.#lastRefresh()
      if (last === undefined) {
        const detail = `The CanvOS repository ${this.repository} cannot be reached and there is no copy of it: ${reason}`
        throw new ProblemError('upstream-unavailable', detail, { cause: error })
      }
      this.#failure = { at: Date.now(), reason }
      return { refreshedAt: last.refreshedAt, stale: true, reason }
    }
  }

  /** What a git that was killed left behind would fail every later fetch. The caller holds the lock. */
  async #removeLeftovers(): Promise<void> {
    for await (const file of glob(['*.lock', 'refs/**/*.lock'], { cwd: this.#directory })) {
      await rm(path.join(this.#directory, file), { force: true })
    }
  }

  /** The last fetch from this very repository; one from another repository does not count. */
  async #lastRefresh(): Promise<LastRefresh | undefined> {
    const file = path.join(this.#directory, stateFile)
    // Asked several times for each request: the thread pool would take far longer than the look itself.
    const found = statSync(file, { bigint: true, throwIfNoEntry: false })
    if (found === undefined) return undefined
    // Every fetch puts a new file in the place of the old one.
    const version = `${found.ino} ${found.mtimeNs}`
    if (this.#state?.version !== version) {
      this.#state = { version, last: this.#parseState(await readFile(file, 'utf8')) }
    }
    return this.#state.last
  }

  #parseState(text: string): LastRefresh | undefined {
    const state: unknown = JSON.parse(text)
    return Value.Check(LastRefresh, state) && state.repository === this.#repositoryDigest()
      ? state
      : undefined
  }

  async #noteRefresh(refreshedAt: number): Promise<void> {
    const file = path.join(this.#directory, stateFile)
    await writeFile(`${file}.new`, JSON.stringify({ repository: this.#repositoryDigest(), refreshedAt }))
    await rename(`${file}.new`, file)
  }

  /** A digest, because the URL may carry credentials. */
  #repositoryDigest(): string {
    return createHash('sha256').update(this.#options.repository).digest('hex')
  }

  async #commit(tag: string): Promise<string | undefined> {
    return this.#remember(`commit ${tag}`, () => this.#parse(`refs/tags/${tag}^{commit}`))
  }

  /** Asks git once between two fetches, of this process or another. What is not there is asked again. */
  async #remember<T>(question: string, ask: () => Promise<T>): Promise<T> {
    const refreshedAt = (await this.#lastRefresh())?.refreshedAt
    if (this.#answers.refreshedAt !== refreshedAt) this.#answers = { refreshedAt, known: new Map() }
    const { known } = this.#answers
    if (known.has(question)) return known.get(question) as T
    const answer = await ask()
    if (answer !== undefined) known.set(question, answer)
    return answer
  }

  /** The object that a revision names; undefined when there is none. */
  async #parse(revision: string): Promise<string | undefined> {
    try {
      return (await this.#git(['rev-parse', '--verify', '--quiet', '--end-of-options', revision])).trim()
    } catch (error) {
      if (error instanceof GitError && error.exitCode === 1) return undefined
      throw error
    }
  }

  async #git(commandArguments: string[]): Promise<string> {
    await this.refresh(Infinity)
    return git(commandArguments, { directory: this.#directory, signal: this.#options.signal })
  }
}
