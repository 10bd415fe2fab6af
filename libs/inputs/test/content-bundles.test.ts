import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { layoutInputs } from '@edgesmith/canvos/workspace'
import { withMembers } from '../src/archive-members.ts'
import { bundlePartSize, checkContentBundle } from '../src/content-bundle.ts'
import { laidContent } from '../src/laid-content.ts'
import { frameRaw, rawFrameSize } from '../src/zstd.ts'
import { codes, openBench, rawTar, run, tarOf, type Bench } from './fixtures.ts'

const layout = { 'oci-layout': '{}', 'index.json': '{}', 'blobs/sha256/aa': 'layer' }
const zstd = (text: string) => zstdCompressSync(rawTar({ name: 'oci-layout', body: text }))

/** What becomes of bundles: what is told, and what is laid where. */
async function lay({ store, put }: Bench, bundles: Readonly<Record<string, Buffer>>) {
  const inputs = []
  for (const [name, bytes] of Object.entries(bundles)) inputs.push(await put('contentBundle', bytes, name))
  const { files, diagnostics } = await withMembers(store, inputs)
  const laid = layoutInputs({ tag: 'v4.9.36', inputs: files, arguments: {} })
  for (const file of files) diagnostics.push(...(await checkContentBundle(store, file)))
  const content: Record<string, Buffer> = {}
  for (const file of laid.files) {
    const { size, open } = await laidContent(store, file)
    const bytes = await buffer(await open())
    assert.equal(bytes.length, size)
    content[file.path] = bytes
  }
  return { told: codes([...diagnostics, ...laid.diagnostics]), content, diagnostics }
}

describe('a content bundle', () => {
  it('of Palette is laid as it is', async () => {
    await using bench = await openBench()
    const bundle = await run('zstd', ['-q', '-c', 'bundle.tar'], { 'bundle.tar': await tarOf(layout) })
    const { told, content } = await lay(bench, { 'core.tar.zst': bundle })
    assert.deepEqual([told, content], [[], { 'content-1/core.tar.zst': bundle }])
  })

  it('that is a plain tar is wrapped, so that zstd unpacks it to the same bytes', async () => {
    await using bench = await openBench()
    const tar = await tarOf({ ...layout, 'blobs/sha256/bb': randomBytes(1_000_000) })
    const { told, content } = await lay(bench, { 'core.tar': tar })
    assert.deepEqual(told, ['info content-bundle.wrapped'])
    assert.deepEqual(Object.keys(content), ['content-1/core.tar.zst'])
    const wrapped = content['content-1/core.tar.zst'] ?? Buffer.alloc(0)
    assert.deepEqual(await run('zstd', ['-q', '-d', '-c', 'a.zst'], { 'a.zst': wrapped }), tar)
  })

  it('that is a tar of content directories is taken apart', async () => {
    await using bench = await openBench()
    const [one, two, three] = [zstd('one'), zstd('two'), zstd('three')]
    const tar = await tarOf({
      'content-a/one.zst': one,
      'content-b/two.tar.zst': two,
      'content-b/notes.txt': 'x',
    })
    const { told, content, diagnostics } = await lay(bench, { 'three.zst': three, 'all.tar': tar })
    assert.deepEqual(told, ['warning content-bundle.left-out'])
    assert.match(diagnostics[0]?.message ?? '', /content-b\/notes\.txt/)
    assert.deepEqual(content, {
      'content-1/three.zst': three,
      'content-2/one.zst': one,
      'content-2/two.tar.zst': two,
    })
  })

  const refused: [what: string, bundles: () => Promise<Record<string, Buffer>>, told: string[]][] = [
    [
      'two of one name, one of them in a tar',
      async () => ({
        'core.zst': zstd('a'),
        'all.tar': await tarOf({ 'content-a/core.zst': zstd('b') }),
      }),
      ['error content-bundle.name-clash'],
    ],
    [
      'two of one name in one tar',
      async () => ({
        'all.tar': await tarOf({ 'content-a/core.zst': zstd('a'), 'content-b/core.zst': zstd('b') }),
      }),
      ['error content-bundle.name-clash'],
    ],
    [
      'a file in a tar that only has the name of a bundle',
      async () => ({ 'all.tar': await tarOf({ 'content-a/core.zst': 'hello, world' }) }),
      ['error content-bundle.wrong-member'],
    ],
    [
      'an odd name in a tar',
      async () => ({ 'all.tar': await tarOf({ 'content-a/$(id).zst': zstd('a') }) }),
      ['error archive.odd-name'],
    ],
    [
      'a name in a tar that is no plain file name',
      async () => ({ 'all.tar': await tarOf({ 'content-a/a b.zst': zstd('a') }) }),
      ['error archive.odd-name'],
    ],
    [
      'a tar with a path that leads out',
      () => Promise.resolve({ 'all.tar': rawTar({ name: 'content-a/../../a.zst', body: zstd('a') }) }),
      ['error archive.parent-path'],
    ],
    [
      'a gzip',
      async () => ({ 'core.tar.gz': gzipSync(await tarOf(layout)) }),
      ['error content-bundle.wrong-kind'],
    ],
    [
      'an ISO image',
      () => {
        const iso = Buffer.alloc(0x8800)
        iso.write('\u0001CD001', 0x8000)
        return Promise.resolve({ 'core.zst': iso })
      },
      ['error content-bundle.wrong-kind'],
    ],
    [
      'the wrong magic',
      () => Promise.resolve({ 'core.zst': randomBytes(5000).fill(0, 0, 4) }),
      ['error content-bundle.wrong-kind'],
    ],
  ]
  for (const [what, bundles, expected] of refused) {
    it(`is refused: ${what}`, async () => {
      await using bench = await openBench()
      assert.deepEqual((await lay(bench, await bundles())).told, expected)
    })
  }

  for (const [what, bytes] of [
    ['text', Buffer.from('x'.repeat(2000))],
    ['zeros', Buffer.alloc(50_000_000)],
    ['a gzip', gzipSync(rawTar({ name: 'a' }))],
    ['a Zstandard file', zstd('twice')],
    ['little', Buffer.from('x')],
  ] as const) {
    it(`that unpacks to ${what} is warned of`, async () => {
      await using bench = await openBench()
      const { told } = await lay(bench, { 'core.zst': zstdCompressSync(bytes) })
      assert.deepEqual(told, ['warning content-bundle.not-a-tar'])
    })
  }

  it('that unpacks to gigabytes is only looked at in front', async () => {
    await using bench = await openBench()
    const bomb = await run('sh', ['-c', 'head -c 3G /dev/zero | zstd -q -c'])
    const before = process.memoryUsage().rss
    const started = performance.now()
    assert.deepEqual((await lay(bench, { 'bomb.zst': bomb })).told, ['warning content-bundle.not-a-tar'])
    assert.ok(performance.now() - started < 2000)
    assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024)
  })

  it('tells the number of its parts when there are several', async () => {
    await using bench = await openBench()
    const input = await bench.put('contentBundle', zstd('a'), 'core.zst')
    const parts = async (size: number, kind = input.kind) => {
      const found = await checkContentBundle(bench.store, { ...input, kind, size })
      return found.flatMap(({ code, message }) =>
        code === 'content-bundle.split' ? [/in (\d+) parts/.exec(message)?.[1]] : [],
      )
    }
    assert.deepEqual(await parts(bundlePartSize), [])
    assert.deepEqual(await parts(bundlePartSize + 1), ['2'])
    assert.deepEqual(await parts(3 * bundlePartSize), ['3'])
    // Wrapping adds 3 bytes for every 128 KiB.
    assert.deepEqual(await parts(bundlePartSize, 'tar'), ['2'])
  })
})

describe('frameRaw', () => {
  for (const size of [1, 2, 131_071, 131_072, 131_073, 262_144, 300_000]) {
    it(`wraps ${size} bytes in as many as announced`, async () => {
      const bytes = randomBytes(size)
      const pieces: Buffer[] = []
      for (let at = 0; at < size; at += 65_537) pieces.push(bytes.subarray(at, at + 65_537))
      const frame = await buffer(frameRaw(Readable.from(pieces), size))
      assert.equal(frame.length, rawFrameSize(size))
      assert.deepEqual(await run('zstd', ['-q', '-d', '-c', 'a.zst'], { 'a.zst': frame }), bytes)
    })
  }

  it('closes its source, even when nothing was read, and fails with it', async () => {
    const [unread, failing] = [Readable.from([Buffer.alloc(10)]), Readable.from([Buffer.alloc(10)])]
    const frame = frameRaw(unread, 10)
    frame.destroy()
    await once(frame, 'close')
    assert.equal(unread.destroyed, true)
    const failed = buffer(frameRaw(failing, 10))
    failing.destroy(new Error('the store went away'))
    await assert.rejects(failed, /the store went away/)
  })

  it('fails when the source has more or less than announced', async () => {
    const frame = (size: number) => buffer(frameRaw(Readable.from([Buffer.alloc(1000)]), size))
    await assert.rejects(frame(999), RangeError)
    await assert.rejects(frame(1001), RangeError)
  })
})
