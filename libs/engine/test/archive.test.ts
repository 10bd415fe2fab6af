import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { putEntries, takeEntries, type ArchiveEntry } from '@edgesmith/engine/archive'
import { dockerStatus, openDocker } from '@edgesmith/engine/docker'
import { reap } from '@edgesmith/engine/reaper'
import { labelsOf } from '@edgesmith/engine/labels'
import type Docker from 'dockerode'
import { fromSetUp } from '../../../test/support/environment.ts'

const user = { uid: 10_001, gid: 10_001 }
const mebibyte = Buffer.alloc(1024 ** 2, 'x')

/** An entry of so many mebibytes, announced with a size. */
function streamed(path: string, mebibytes: number, size = mebibytes * mebibyte.length): ArchiveEntry {
  const open = () => Promise.resolve(Readable.from(Array.from({ length: mebibytes }, () => mebibyte)))
  return { type: 'stream', path, mode: 0o644, size, open }
}

describe('Files of a container that does not run', () => {
  const docker = openDocker({ host: fromSetUp('DOCKER_HOST') })
  const workerId = `test-${randomUUID().slice(0, 8)}`
  let container: Docker.Container
  before(async () => {
    container = await docker.createContainer({
      Image: fromSetUp('EDGESMITH_TEST_ENGINE_IMAGE'),
      Labels: labelsOf({ workerId }, 'client'),
    })
  })
  after(async () => {
    const reaped = await reap(docker, { workerId })
    assert.deepEqual(
      reaped.map(({ kind }) => kind),
      ['container'],
    )
  })

  it('come out as they were put in', async () => {
    await putEntries(container, '/opt', user, [
      { type: 'directory', path: 'tree', mode: 0o755 },
      { type: 'file', path: 'tree/small.txt', mode: 0o644, body: 'small' },
      { type: 'file', path: 'tree/empty', mode: 0o644, body: '' },
      { type: 'symlink', path: 'tree/link', target: 'small.txt' },
      streamed('tree/large', 20),
    ])
    const found = new Map<string, string>()
    for await (const { path, type, size, body } of takeEntries(container, '/opt/tree')) {
      found.set(path, type === 'file' && size < 100 ? await text(body) : `${type} ${size}`)
    }
    assert.deepEqual(
      Object.fromEntries(found),
      Object.fromEntries([
        ['tree/', 'directory 0'],
        ['tree/empty', ''],
        ['tree/large', `file ${20 * mebibyte.length}`],
        ['tree/link', 'symlink 0'],
        ['tree/small.txt', 'small'],
      ]),
    )
  })

  it('cannot be put where there is no directory', async () => {
    const put = putEntries(container, '/nowhere', user, [streamed('large', 20)])
    await assert.rejects(put, (error) => dockerStatus(error) === 404)
  })

  it('have the size they were announced with, or are not taken', async () => {
    await assert.rejects(putEntries(container, '/opt', user, [streamed('short', 1, 2 * mebibyte.length)]))
    await assert.rejects(putEntries(container, '/opt', user, [streamed('long', 2, mebibyte.length)]))
  })

  it('are not put once the signal is aborted, or when they cannot be opened', async () => {
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    await assert.rejects(putEntries(container, '/opt', user, [streamed('large', 1)], signal), reason)
    const closed: ArchiveEntry = {
      type: 'stream',
      path: 'x',
      mode: 0o644,
      size: 1,
      open: () => Promise.reject(reason),
    }
    await assert.rejects(putEntries(container, '/opt', user, [closed]), reason)
  })

  it('are not put when their stream breaks off', async () => {
    const reason = new Error('broken')
    async function* broken(): AsyncGenerator<Buffer> {
      yield await Promise.resolve(mebibyte)
      throw reason
    }
    const open = () => Promise.resolve(Readable.from(broken()))
    const entry: ArchiveEntry = { type: 'stream', path: 'x', mode: 0o644, size: 2 * mebibyte.length, open }
    await assert.rejects(putEntries(container, '/opt', user, [entry]), reason)
  })

  it('are told to be absent', async () => {
    const taken = Array.fromAsync(takeEntries(container, '/opt/absent'))
    await assert.rejects(taken, (error) => dockerStatus(error) === 404)
  })
})
