import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ProblemCode } from '@edgesmith/contract/problem'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'

/** A directory store that is removed when it is disposed of. */
export async function openTemporaryStore(): Promise<AsyncDisposable & { store: ObjectStore }> {
  const root = await mkdtemp(join(tmpdir(), 'edgesmith-uploads-'))
  return {
    store: await openDirectoryStore(root),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true }),
  }
}

export async function keysOf(store: ObjectStore): Promise<string[]> {
  return (await Array.fromAsync(store.list(''))).map(({ key }) => key)
}

/** What an error is, for `assert.rejects`: the problem's code, and that of its first fault. */
export function isProblem(code: ProblemCode, fault?: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof ProblemError &&
    error.code === code &&
    (fault === undefined || error.errors[0]?.code === fault)
}
