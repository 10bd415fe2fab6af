import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startServiceProcess } from '../../deploy/setup/service-process.ts'
import { removeWorker } from '../../deploy/setup/workers.ts'
import { fromSetUp } from '../support/environment.ts'
import { serviceEnvironment } from './environment.ts'
import { describeMainJob } from './main-job.suite.ts'

const builderId = `e2e-${process.pid}`

describeMainJob(
  'standalone',
  [
    ['cd', 'bios'],
    ['cd', 'uefi'],
    ['usb', 'bios'],
    ['usb', 'uefi'],
  ],
  async () => {
    await using resources = new AsyncDisposableStack()
    const directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-standalone-'))
    resources.defer(() => rm(directory, { recursive: true, force: true }))
    resources.defer(() => removeWorker(fromSetUp('DOCKER_HOST'), builderId))
    const { url } = resources.use(
      await startServiceProcess({
        service: 'standalone',
        awaited: 'gateway',
        logFile: path.join(directory, 'standalone.log'),
        env: {
          ...(await serviceEnvironment()),
          EDGESMITH_DATA_DIRECTORY: path.join(directory, 'data'),
          BUILDER_ID: builderId,
        },
      }),
    )
    const opened = resources.move()
    return { url, [Symbol.asyncDispose]: () => opened.disposeAsync() }
  },
)
