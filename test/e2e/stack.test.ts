import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { removeStack } from '../../deploy/stack/remove.ts'
import { startStack } from '../../deploy/stack/stack.ts'
import { serviceEnvironment } from './environment.ts'
import { describeMainJob } from './main-job.suite.ts'

describeMainJob('four processes, Redis and MinIO', [['usb', 'uefi']], async () => {
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-stack-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  resources.defer(() => removeStack(directory))
  const { urls } = resources.use(await startStack({ directory, env: await serviceEnvironment() }))
  const opened = resources.move()
  return { url: urls.gateway, [Symbol.asyncDispose]: () => opened.disposeAsync() }
})
