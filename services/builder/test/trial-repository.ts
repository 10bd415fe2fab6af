import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fixtureTag } from './harness.ts'

const run = promisify(execFile)

/** A git repository of the Earthfile in `trial`, with the fixture's tag. */
export async function makeTrialRepository(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'edgesmith-trial-'))
  await cp(join(import.meta.dirname, 'trial'), path, { recursive: true })
  const git = (...words: string[]) =>
    run('git', ['-C', path, '-c', 'user.name=Test', '-c', 'user.email=test@example.com', ...words])
  await git('init', '--quiet', '--initial-branch=main')
  await git('add', '--all')
  await git('commit', '--quiet', '--message', 'Trial')
  await git('tag', fixtureTag)
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
