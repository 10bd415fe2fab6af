import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { LimitedProcessError, runLimited } from '../src/limited-process.ts'

describe('A limited process', () => {
  let cwd: string
  before(async () => {
    cwd = await mkdtemp(join(tmpdir(), 'edgesmith-limited-'))
  })
  after(() => rm(cwd, { recursive: true }))

  const shell = async (script: string, outputLimit = 1000) => {
    const output = await runLimited({
      program: 'bash',
      options: ['-c', script],
      env: {},
      cwd: '/',
      outputLimit,
    })
    return output.toString().trim()
  }

  it('has nothing of this environment, and no privileges', async () => {
    process.env['CANARY_OF_THE_PARENT'] = 'canary'
    assert.doesNotMatch(await shell('env'), /canary/i)
    delete process.env['CANARY_OF_THE_PARENT']
    assert.match(
      await shell('grep -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status | tr -s "\\t\\n" " "'),
      /CapEff: 0+ .*NoNewPrivs: 1/,
    )
    assert.notEqual(await shell('id -u'), '0')
  })

  it('reaches no network', async () => {
    const server = createServer((socket) => socket.end('reached')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await assert.rejects(shell(`cat < /dev/tcp/127.0.0.1/${port}`), LimitedProcessError)
    server.close()
  })

  it('writes no file', async () => {
    await assert.rejects(shell(`echo x > ${cwd}/file`), LimitedProcessError)
    await assert.rejects(
      shell('echo x > /dev/shm/edgesmith-limited && cat /dev/shm/edgesmith-limited'),
      LimitedProcessError,
    )
  })

  it('has bounded memory and output', async () => {
    await assert.rejects(shell('dd if=/dev/zero of=/dev/null bs=5G count=1'), LimitedProcessError)
    await assert.rejects(shell('yes'), /It wrote more than 1000 bytes/)
  })

  it('tells how it ended', async () => {
    await assert.rejects(shell('echo why >&2; exit 3'), /exit code 3\. why/)
    await assert.rejects(
      runLimited({ program: join(cwd, 'none'), options: [], env: {}, cwd, outputLimit: 1 }),
      LimitedProcessError,
    )
  })
})
