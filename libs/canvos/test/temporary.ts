import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A directory that is removed at the end of its scope. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { path: string }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-canvos-'))
  return {
    path: directory,
    async [Symbol.asyncDispose]() {
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** A git repository to mirror, made with the plain command. */
export class SourceRepository {
  readonly path: string

  private constructor(directory: string) {
    this.path = directory
  }

  static async create(directory: string): Promise<SourceRepository> {
    await mkdir(directory, { recursive: true })
    const repository = new SourceRepository(directory)
    await repository.git('init', '--quiet', '--initial-branch=main')
    return repository
  }

  async git(...commandArguments: string[]): Promise<string> {
    const identity = [
      '-c',
      'user.name=Test',
      '-c',
      'user.email=test@example.com',
      '-c',
      'commit.gpgsign=false',
      '-c',
      'safe.directory=*',
    ]
    const { stdout } = await run('git', [...identity, ...commandArguments], { cwd: this.path })
    return stdout.trim()
  }

  /** Commits these files and tags the commit. */
  async release(
    tag: string,
    files: Record<string, string>,
    options: { annotated?: boolean } = {},
  ): Promise<string> {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(this.path, name)), { recursive: true })
      await writeFile(path.join(this.path, name), text)
    }
    await this.git('add', '--all')
    await this.git('commit', '--quiet', '--allow-empty', '--message', tag)
    await this.git('tag', ...(options.annotated === true ? ['--annotate', '--message', tag] : []), tag)
    return this.git('rev-parse', 'HEAD')
  }
}
