import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import type { DownloadUrl } from '@edgesmith/contract/artifact'
import type { CanvosReleases } from '@edgesmith/contract/release'
import { ConfigurationError } from '@edgesmith/service/environment'
import { openStore } from '@edgesmith/store/open-store'
import { publishArtifact } from '../../../libs/artifacts/src/artifacts.ts'
import { removeWorker } from '../../../deploy/setup/workers.ts'
import { fetch } from '../../../test/support/as-operator.ts'
import { fromSetUp } from '../../../test/support/environment.ts'
import { ownStore } from '../../../test/support/projects.ts'
import { readConfig } from '../src/config.ts'
import { startStandalone, type RunningStandalone } from '../src/standalone.ts'
import { standaloneEnvironment } from './environment.ts'

const buildId = '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'

describe('standalone', () => {
  let directory: string
  let environment: NodeJS.ProcessEnv
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-standalone-'))
    environment = {
      ...standaloneEnvironment(directory),
      LOG_LEVEL: 'silent',
      DEFAULT_ARG_FILE: fromSetUp('EDGESMITH_TEST_CANVOS_ARG_FILE'),
    }
  })
  after(async () => {
    await removeWorker(fromSetUp('DOCKER_HOST'), basename(directory))
    await rm(directory, { recursive: true })
  })

  it('names the faults of all services at once', async () => {
    const faulty = {
      ...environment,
      BOOTSTRAP_API_KEY_FILE: '/dev/null',
      GATEWAY_PORT: '-1',
      ARTIFACT_PORT: 'x',
      BUILDER_CONCURRENCY: '0',
    }
    await assert.rejects(readConfig(faulty), (error) => {
      assert.ok(error instanceof ConfigurationError)
      assert.match(error.message, /BOOTSTRAP_API_KEY_FILE are both set/)
      assert.match(error.message, /GATEWAY_PORT/)
      assert.match(error.message, /ARTIFACT_PORT/)
      assert.match(error.message, /BUILDER_CONCURRENCY/)
      return true
    })
  })

  it('runs the four services in one process, on a Redis and a store of its own', async () => {
    let urls: RunningStandalone['urls']
    {
      await using standalone = await startStandalone(await readConfig(environment))
      urls = standalone.urls
      for (const url of Object.values(urls)) assert.equal((await fetch(`${url}/readyz`)).status, 200, url)
      const releases = await fetch(`${standalone.url}/v1/canvos/releases`)
      assert.equal(((await releases.json()) as CanvosReleases).latest, 'v4.10.0')
      const upload = await fetch(`${standalone.url}/v1/uploads`, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        body: 'kept',
      })
      assert.equal(upload.status, 201)
    }
    for (const url of Object.values(urls)) {
      const [error] = (await once(createConnection(Number(new URL(url).port), '127.0.0.1'), 'error')) as [
        Error,
      ]
      assert.match(error.message, /ECONNREFUSED/)
    }
  })

  it('has its data again at the next start', async () => {
    await using standalone = await startStandalone(await readConfig(environment))
    const again = await fetch(`${standalone.url}/v1/uploads`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: 'kept',
    })
    assert.equal(again.status, 200)
  })

  it('serves by the gateway whom a download URL is for', async () => {
    const config = await readConfig(environment)
    const store = ownStore(await openStore(config.artifact.objectStore))
    const source = Readable.from([Buffer.from('bytes')])
    const { id } = await publishArtifact(store, { buildId, name: 'a.bin', source })
    await using standalone = await startStandalone(config)
    const answer = await fetch(`${standalone.url}/v1/artifacts/${id}/download-url`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ clientAddress: '127.0.0.2' }),
    })
    const { pathname, search } = new URL(((await answer.json()) as DownloadUrl).url)
    const statusFrom = async (localAddress: string): Promise<number | undefined> => {
      const request = get(`${standalone.url}${pathname}${search}`, { localAddress, agent: false })
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      response.resume()
      return response.statusCode
    }
    assert.equal(await statusFrom('127.0.0.2'), 200)
    assert.equal(await statusFrom('127.0.0.3'), 403)
  })

  it('ends its process with a failure when its Redis is lost', async () => {
    const main = join(import.meta.dirname, '../src/main.ts')
    const child = spawn(process.execPath, [main], {
      env: { ...process.env, ...environment, LOG_LEVEL: 'info' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for await (const line of createInterface(child.stdout)) if (line.includes('The API is at')) break
    const pid = Number(await readFile(join(directory, 'redis', 'redis.pid'), 'utf8'))
    child.stdout.resume()
    process.kill(pid, 'SIGKILL')
    const [exitCode] = (await once(child, 'exit')) as [number | null]
    assert.equal(exitCode, 1)
  })
})
