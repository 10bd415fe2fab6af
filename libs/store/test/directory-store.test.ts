import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { openDirectoryStore } from '../src/directory-store.ts'
import { DamagedObject } from '../src/object-store.ts'
import { bytesOf, MiB, stalledStream } from './byte-streams.ts'
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
    assert.equal((await stat(join(root, '.objects', 'a', 'b'))).mode & 0o777, 0o600)
    assert.equal((await stat(root)).mode & 0o777, 0o700)
  })

  it('leaves no empty directories', async () => {
    await using temporary = await temporaryRoot()
    const store = await openDirectoryStore(temporary.root)
    await store.put('a/b/c', Buffer.from('x'))
    await store.put('a/d', Buffer.from('x'))
    await store.remove('a/b/c')
    assert.deepEqual(await readdir(join(temporary.root, '.objects', 'a')), ['d'])
    await store.remove('a/d')
    assert.deepEqual(await readdir(join(temporary.root, '.objects')), [])
  })

  it('refuses a key inside another', async () => {
    await using temporary = await temporaryRoot()
    const store = await openDirectoryStore(temporary.root)
    await store.put('a', Buffer.from('x'))
    await assert.rejects(store.put('a/b', Buffer.from('x')))
    await assert.rejects(store.putIfAbsent('a/b', Buffer.from('x')))
    assert.deepEqual(await listIncoming(temporary.root), [])
  })

  it('never gives out bytes that changed on the disk', async () => {
    await using temporary = await temporaryRoot()
    const store = await openDirectoryStore(temporary.root)
    const size = 300_000
    const bytes = bytesOf(size)
    await store.put('put', bytes)
    const target = await store.beginParts('parts')
    await store.putPart(target, 1, bytes)
    await store.completeParts(target, { count: 1, size })
    await store.putIfAbsent('absent', bytes)
    for (const key of ['put', 'parts', 'absent']) {
      const path = join(temporary.root, '.objects', key)
      const good = await readFile(path)
      assert.ok((await buffer(await store.get(key))).equals(bytes))
      for (const at of [0, 65_535, 65_536, 200_001, size - 1, size + 3, good.length - 1]) {
        const bad = Buffer.from(good)
        bad.writeUInt8(bad.readUInt8(at) ^ 0x10, at)
        await writeFile(path, bad)
        await assert.rejects(async () => buffer(await store.get(key)), DamagedObject)
        await assert.rejects(store.join('joined', [{ object: key, offset: 0, length: size }]), DamagedObject)
        // A byte of each block that is damaged is not given out either.
        const byte = Math.min(at ^ 1, size - 1)
        const block = Math.floor(byte / 65_536)
        if (at >= size || Math.floor(at / 65_536) !== block) continue
        const range = { offset: byte, length: 1 }
        await assert.rejects(async () => {
          await using reader = await store.openRange(key, range)
          await reader.read(Buffer.alloc(1))
        }, DamagedObject)
        // Other blocks are.
        const offset = block === 0 ? 65_536 : 10
        assert.deepEqual(
          await buffer(await store.get(key, { offset, length: 7 })),
          bytes.subarray(offset, offset + 7),
        )
      }
      for (const length of [0, 3, 65_536, size, good.length - 1]) {
        await writeFile(path, good.subarray(0, length))
        await assert.rejects(async () => buffer(await store.get(key)), DamagedObject)
      }
      await writeFile(path, good)
      assert.ok((await buffer(await store.get(key))).equals(bytes))
    }
    assert.equal(await store.stat('joined'), undefined)
  })

  it('reads ranges of any place and size', async () => {
    await using temporary = await temporaryRoot()
    const store = await openDirectoryStore(temporary.root)
    for (const size of [0, 1, 65_535, 65_536, 65_537, 131_072, 300_000]) {
      const bytes = bytesOf(size)
      await store.put('a', bytes)
      for (const offset of [0, 1, 65_535, 65_536, 65_537, 299_999, 300_001]) {
        for (const length of [1, 7, 65_536, 65_537, 200_000]) {
          const expected = bytes.subarray(offset, offset + length)
          assert.ok((await buffer(await store.get('a', { offset, length }))).equals(expected))
          await using reader = await store.openRange('a', { offset, length })
          const pieces: Buffer[] = []
          for (;;) {
            const piece = Buffer.alloc(50_001)
            const read = await reader.read(piece)
            pieces.push(piece.subarray(0, read))
            if (read < piece.length) break
          }
          assert.ok(Buffer.concat(pieces).equals(expected))
        }
      }
    }
  })

  it('takes over what an earlier version stored, which had no sums', async () => {
    await using temporary = await temporaryRoot()
    const { root } = temporary
    const longAgo = new Date('2026-01-02T03:04:05.000Z')
    await mkdir(join(root, 'a', 'b'), { recursive: true })
    await mkdir(join(root, '.partial'))
    await writeFile(join(root, 'a', 'b', 'c'), bytesOf(100_000))
    await writeFile(join(root, 'd'), '')
    // One part had come of an upload, which goes on.
    await writeFile(join(root, '.partial', 'begun'), bytesOf(8 * MiB))
    await utimes(join(root, 'a', 'b', 'c'), longAgo, longAgo)
    const stores = await Promise.all([openDirectoryStore(root), openDirectoryStore(root)])
    for (const store of stores) {
      assert.deepEqual(await store.stat('a/b/c'), { size: 100_000, modifiedAt: longAgo })
      assert.deepEqual(await buffer(await store.get('a/b/c')), bytesOf(100_000))
      assert.equal((await store.stat('d'))?.size, 0)
    }
    assert.deepEqual((await readdir(root)).sort(), ['.incoming', '.objects', '.partial'])
    const target = { key: 'e', uploadId: 'begun' }
    await stores[0].putPart(target, 2, Buffer.from('end'))
    await stores[0].completeParts(target, { count: 2, size: 8 * MiB + 3 })
    assert.deepEqual(
      await buffer(await stores[0].get('e')),
      Buffer.concat([bytesOf(8 * MiB), Buffer.from('end')]),
    )
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
