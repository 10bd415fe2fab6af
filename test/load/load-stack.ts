import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openMinioStore } from '@edgesmith/store/minio-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { removeStack } from '../../deploy/stack/remove.ts'
import { startStack, type RunningStack } from '../../deploy/stack/stack.ts'
import { serviceEnvironment } from '../e2e/environment.ts'
import { makeTarget, userDataReserve, type Target } from '../faults/target.ts'

/** The stack that is loaded, and what a benchmark needs beside it. */
export type LoadStack = AsyncDisposable & {
  readonly stack: RunningStack
  readonly target: Target
  /** All objects, by whose bytes uploads are verified. */
  readonly stores: ProjectStores
}

/**
 * Starts a stack as `npm run stack` does, with its defaults but for these: what is built is a target that takes
 * two seconds, and one build runs at a time, for the processors are those of everybody.
 */
export async function openLoadStack(env: Readonly<Record<string, string>> = {}): Promise<LoadStack> {
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-load-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const target = resources.use(await makeTarget())
  resources.defer(() => removeStack(directory))
  const stack = resources.use(
    await startStack({
      directory,
      env: {
        ...(await serviceEnvironment()),
        CANVOS_REPOSITORY: target.repository,
        USER_DATA_RESERVE_BYTES: String(userDataReserve),
        PREFLIGHT_FREE_BYTES: '0',
        BUILDER_CONCURRENCY: '1',
        ...env,
      },
    }),
  )
  const stores = new ProjectStores(await openMinioStore({ ...stack.minio, bucket: 'edgesmith' }))
  const opened = resources.move()
  return {
    ...{ stack, target, stores },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
