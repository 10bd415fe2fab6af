import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openDirectoryStore } from '../src/directory-store.ts'
import { stalledStream } from './byte-streams.ts'
import { testObjectStore } from './object-store.suite.ts'

testObjectStore('directory store', async () => {
  const { root, [Symbol.asyncDispose]: dispose } = await temporaryRoot()
  return {
    store: await openDirectoryStore(root),
    countUnfinished: async () => (await listIncoming(root)).length,
    [Symbol.asyncDispose]: dispose,
  }
})

describe('directory store, on the disk', () => {
  it('removes what a killed process did not finish', async () => {
    await using temporary = await temporaryRoot()
    const child = spawn(process.execPath, [join(import.meta.dirname, 'stalled-writer.ts'), temporary.root], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal((await listIncoming(temporary.root)).length, 1)

    const store = await openDirectoryStore(temporary.root)
    assert.deepEqual(await listIncoming(temporary.root), [])
    assert.deepEqual(await Array.fromAsync(store.list('')), [])
  })

  it('keeps what another process is writing', async () => {
    await using temporary = await temporaryRoot()
    const child = spawn(process.execPath, [join(import.meta.dirname, 'stalled-writer.ts'), temporary.root], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    await openDirectoryStore(temporary.root)
    assert.equal((await listIncoming(temporary.root)).length, 1)
    child.kill('SIGKILL')
    await once(child, 'exit')
  })

  it('removes files of another PID namespace after a day, and never what is not its own', async () => {
    await using temporary = await temporaryRoot()
    const incoming = join(temporary.root, '.incoming')
    await mkdir(incoming, { recursive: true })
    const fresh = '1-7-100-01939c6b-77d2-7a54-8f0e-5e2f3b9c4d22'
    const old = '1-7-100-01939c6b-77d2-7a54-8f0e-5e2f3b9c4d23'
    for (const name of [fresh, old, 'notes.txt']) await writeFile(join(incoming, name), 'x')
    const longAgo = new Date(Date.now() - 25 * 60 * 60 * 1000)
    await utimes(join(incoming, old), longAgo, longAgo)
    await openDirectoryStore(temporary.root)
    assert.deepEqual((await listIncoming(temporary.root)).sort(), [fresh, 'notes.txt'])
  })

  it('keeps objects across openings, for their owner only', async () => {
    await using temporary = await temporaryRoot()
    const root = join(temporary.root, 'new', 'store')
    await (await openDirectoryStore(root)).put('a/b', Buffer.from('kept'))
    const store = await openDirectoryStore(root)
    assert.equal((await store.stat('a/b'))?.size, 4)
    assert.equal((await stat(join(root, 'a', 'b'))).mode & 0o777, 0o600)
    assert.equal((await stat(root)).mode & 0o777, 0o700)
  })

  it('leaves no empty directories', async () => {
    await using temporary = await temporaryRoot()
    const store = await openDirectoryStore(temporary.root)
    await store.put('a/b/c', Buffer.from('x'))
    await store.put('a/d', Buffer.from('x'))
    await store.remove('a/b/c')
    assert.deepEqual(await readdir(join(temporary.root, 'a')), ['d'])
    await store.remove('a/d')
    assert.deepEqual(await readdir(temporary.root), ['.incoming'])
  })

  it('refuses a key inside another', async () => {
    await using temporary = await temporaryRoot()
    const store = await openDirectoryStore(temporary.root)
    await store.put('a', Buffer.from('x'))
    await assert.rejects(store.put('a/b', Buffer.from('x')))
    await assert.rejects(store.putIfAbsent('a/b', Buffer.from('x')))
    assert.deepEqual(await listIncoming(temporary.root), [])
  })

  it('is not ready without its directory', async () => {
    await using temporary = await temporaryRoot()
    const store = await openDirectoryStore(temporary.root)
    await rm(temporary.root, { recursive: true })
    await assert.rejects(store.check(), /ENOENT/)
  })

  it('stops a stalled put of its own without harm to others', async () => {
    await using temporary = await temporaryRoot()
    const store = await openDirectoryStore(temporary.root)
    const abort = new AbortController()
    const { stream, stalled } = stalledStream(1000)
    const putting = assert.rejects(store.put('a', stream, { signal: abort.signal }))
    await stalled
    await store.put('b', Buffer.from('x'))
    abort.abort()
    await putting
    assert.equal((await store.stat('b'))?.size, 1)
    assert.equal(await store.stat('a'), undefined)
  })
})

async function listIncoming(root: string): Promise<string[]> {
  return readdir(join(root, '.incoming'))
}

async function temporaryRoot(): Promise<AsyncDisposable & { root: string }> {
  const root = await mkdtemp(join(tmpdir(), 'edgesmith-store-'))
  return { root, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) }
}
