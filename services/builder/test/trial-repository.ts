import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fixtureTag } from './harness.ts'

const run = promisify(execFile)

type Repository = AsyncDisposable & { readonly path: string }

/** A git repository of the Earthfile in `trial`, with the fixture's tag. */
export async function makeTrialRepository(): Promise<Repository> {
  return makeRepository(join(import.meta.dirname, 'trial'), (earthfile) => earthfile)
}

/** A git repository of the Earthfile in `hostile`, with the fixture's tag. */
export async function makeHostileRepository(): Promise<Repository> {
  return makeRepository(join(import.meta.dirname, 'hostile'), (earthfile) => earthfile)
}

/** A git repository of the CanvOS fixture with another Earthfile, with the fixture's tag. */
export async function makeAlteredFixture(alter: (earthfile: string) => string): Promise<Repository> {
  return makeRepository(join(import.meta.dirname, '../../../test/fixtures/canvos'), alter)
}

async function makeRepository(source: string, alter: (earthfile: string) => string): Promise<Repository> {
  const path = await mkdtemp(join(tmpdir(), 'edgesmith-trial-'))
  await cp(source, path, { recursive: true })
  const earthfile = join(path, 'Earthfile')
  await writeFile(earthfile, alter(await readFile(earthfile, 'utf8')))
  const git = (...words: string[]) =>
    run('git', ['-C', path, '-c', 'user.name=Test', '-c', 'user.email=test@example.com', ...words])
  await git('init', '--quiet', '--initial-branch=main')
  await git('add', '--all', '--force')
  await git('commit', '--quiet', '--message', 'Trial')
  await git('tag', fixtureTag)
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
