import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { removeStack } from '../../deploy/stack/remove.ts'
import { startStack } from '../../deploy/stack/stack.ts'
import { serviceEnvironment } from '../e2e/environment.ts'
import { makeTarget, userDataReserve } from '../faults/target.ts'

const run = promisify(execFile)

/** The tag of CanvOS that the examples of the API name. */
const exampleTag = 'v4.9.36'

/** The processes whose answers are counted. */
const services = ['gateway', 'validation', 'artifact', 'builder'] as const

/** What the services say of requests in their logs. */
export type ServedRequests = {
  /** Requests that the gateway has answered. */
  readonly answered: number
  /** Lines of answers with a status of 500 or more, of any service. */
  readonly serverErrors: readonly string[]
}

/** The stack that is asked, as `npm run stack` starts it. */
export type StackUnderTest = AsyncDisposable & {
  readonly url: string
  served(): Promise<ServedRequests>
}

/**
 * Starts the stack with a target that is built in seconds, and with limits that two clients who never rest do not
 * come to.
 */
export async function startStackUnderTest(): Promise<StackUnderTest> {
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-fuzz-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const target = resources.use(await makeTarget())
  await run('git', ['-C', target.repository, 'tag', exampleTag])
  resources.defer(() => removeStack(directory))
  const env = {
    ...(await serviceEnvironment()),
    CANVOS_REPOSITORY: target.repository,
    USER_DATA_RESERVE_BYTES: String(userDataReserve),
    PREFLIGHT_FREE_BYTES: '0',
    QUEUE_LIMIT: '1000000',
    TENANT_QUEUE_LIMIT: '1000000',
    RATE_LIMIT_PER_KEY: '0',
    RATE_LIMIT_PER_ADDRESS: '0',
  }
  const { urls } = resources.use(await startStack({ directory, env }))
  const opened = resources.move()
  return {
    url: urls.gateway,
    served: () => readLogs(directory),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

type LogLine = { readonly res?: { readonly statusCode?: number } }

async function readLogs(directory: string): Promise<ServedRequests> {
  let answered = 0
  const serverErrors: string[] = []
  for (const service of services) {
    const lines = (await readFile(join(directory, `${service}.log`), 'utf8')).split('\n')
    for (const line of lines.filter((text) => text.startsWith('{'))) {
      const status = (JSON.parse(line) as LogLine).res?.statusCode
      if (status === undefined) continue
      if (service === 'gateway') answered += 1
      if (status >= 500) serverErrors.push(line)
    }
  }
  return { answered, serverErrors }
}
