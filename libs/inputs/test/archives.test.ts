import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ArchiveFault } from '../src/archive-fault.ts'
import { ObjectReader } from '../src/byte-reader.ts'
import { checkClusterDefinition } from '../src/cluster-definition.ts'
import { checkLocalUi } from '../src/local-ui.ts'
import { readTarEntries } from '../src/tar-entries.ts'
import { codes, openBench, paxRecord, rawEntry, rawTar, run, tarOf, type RawEntry } from './fixtures.ts'

const sound = { name: 'index.html', body: 'hello' }
const odd = 'error archive.odd-name'

const cases: { what: string; tar: Buffer; expected: string[]; message?: RegExp }[] = [
  { what: 'one file', tar: rawTar(sound), expected: [] },
  { what: 'a tar without its end', tar: rawEntry(sound), expected: [] },
  { what: 'no file', tar: rawTar({ name: 'a/', type: '5' }), expected: ['error archive.empty'] },
  ...names('an absolute path', ['/etc/passwd', '//etc/passwd'], 'error archive.absolute-path'),
  ...names('..', ['../up', 'a/../../up', '..', 'a/..', './../up'], 'error archive.parent-path'),
  ...names(
    'an odd name',
    [
      'a\nb',
      'a\rb',
      'a\tb',
      'a\u001b[2Jb',
      'a"b',
      "a'b",
      '$(reboot)',
      '`reboot`',
      '${HOME}',
      'a;b',
      'a|b',
      'a&b',
      'a\\b',
      'a*b',
      'a?b',
      '-rf',
      'a/-rf',
      'a//b',
      '',
    ],
    odd,
  ),
  ...names(
    'a look-alike',
    ['оverlay/files', 'pаypal', 'a\u202eexe', 'a\u200bb', 'ﬁle', '․․/up', '／etc', 'e\u0301'],
    odd,
  ),
  { what: 'a name that is not UTF-8', tar: rawTar({ name: Buffer.from('61ff', 'hex') }), expected: [odd] },
  entry('a symbolic link', { name: 'a', type: '2', linkName: '/etc/passwd' }, 'error archive.link'),
  entry('a hard link', { name: 'a', type: '1', linkName: 'index.html' }, 'error archive.link'),
  entry('a character device', { name: 'null', type: '3' }, 'error archive.device'),
  entry('a block device', { name: 'sda', type: '4' }, 'error archive.device'),
  entry('a FIFO', { name: 'pipe', type: '6' }, 'error archive.device'),
  entry('a GNU sparse file', { name: 'a', type: 'S' }, 'error archive.sparse'),
  entry('an unknown type', { name: 'a', type: 'Z' }, 'error archive.unknown-type'),
  {
    what: 'a pax sparse file',
    tar: rawTar({ name: 'x', type: 'x', body: paxRecord('GNU.sparse.realsize', '99999999999') }, sound),
    expected: ['error archive.sparse'],
  },
  {
    what: 'a pax path that leads out',
    tar: rawTar({ name: 'x', type: 'x', body: paxRecord('path', '../up') }, sound),
    expected: ['error archive.parent-path'],
  },
  {
    what: 'a GNU long name that leads out',
    tar: rawTar({ name: '././@LongLink', type: 'L', body: `${'a/'.repeat(80)}../up\0` }, sound),
    expected: ['error archive.parent-path'],
  },
  {
    what: 'a pax header for all files',
    tar: rawTar({ name: 'g', type: 'g', body: paxRecord('path', 'all') }, sound),
    expected: ['error archive.damaged'],
  },
  {
    what: 'a comment for all files, as git writes it',
    tar: rawTar({ name: 'g', type: 'g', body: paxRecord('comment', 'abc') }, sound),
    expected: [],
  },
  {
    what: 'a pax header of a gigabyte',
    tar: rawTar({ name: 'x', type: 'x', size: 2 ** 30 }),
    expected: ['error archive.damaged'],
  },
  {
    what: 'pax records that lie about their length',
    tar: rawTar({ name: 'x', type: 'x', body: '99 path=a\n' }, sound),
    expected: ['error archive.damaged'],
  },
  {
    what: 'a directory with a body, which readers skip or do not',
    tar: rawTar({ name: 'a/', type: '5', body: 'x'.repeat(512) }, sound),
    expected: ['error archive.damaged'],
  },
  { what: 'a file twice', tar: rawTar(sound, sound), expected: ['error archive.duplicate'] },
  {
    what: 'a file below a file',
    tar: rawTar(sound, { name: 'index.html/a' }),
    expected: ['error archive.duplicate'],
  },
  {
    what: 'a file in place of a directory',
    tar: rawTar({ name: 'a/b' }, { name: 'a' }),
    expected: ['error archive.duplicate'],
  },
  {
    what: 'a file that the archive breaks off in',
    tar: rawEntry({ name: 'a', size: 5000 }),
    expected: ['error archive.truncated'],
  },
  {
    what: 'a header that breaks off',
    tar: Buffer.concat([rawEntry(sound), rawEntry(sound).subarray(0, 300)]),
    expected: ['error archive.damaged'],
  },
  {
    what: 'a header that was changed',
    tar: Buffer.from(rawTar(sound).map((byte, index) => (index === 3 ? byte ^ 1 : byte))),
    expected: ['error archive.damaged'],
    message: /from byte 0 on/,
  },
  {
    what: 'all faults at once',
    tar: rawTar({ name: '/a' }, { name: 'b', type: '2' }, { name: '../c' }),
    expected: ['error archive.absolute-path', 'error archive.link', 'error archive.parent-path'],
  },
  {
    what: 'very many faults',
    tar: rawTar(...Array.from({ length: 100 }, (_, index) => ({ name: `/${index}` }))),
    expected: [...Array<string>(20).fill('error archive.absolute-path'), 'info archive.more-faults'],
  },
  {
    what: 'more than 10,000 entries',
    tar: rawTar(...Array.from({ length: 10_001 }, (_, index) => ({ name: `${index}` }))),
    expected: ['error archive.too-many-entries'],
  },
]

function names(what: string, list: string[], code: string): typeof cases {
  return list.map((name) => ({
    what: `${what}: ${JSON.stringify(name)}`,
    tar: rawTar({ name, body: 'x' }, sound),
    expected: name === '' ? [] : [code],
  }))
}

function entry(what: string, raw: RawEntry, code: string): (typeof cases)[number] {
  return { what, tar: rawTar(sound, raw), expected: [code] }
}

describe('an archive', () => {
  for (const { what, tar, expected, message = /\S/ } of cases) {
    it(`with ${what}: ${expected[0] ?? 'is taken'}`, async () => {
      await using bench = await openBench()
      const diagnostics = await checkLocalUi(bench.store, await bench.put('localUi', tar, 'local-ui.tar'))
      assert.deepEqual(codes(diagnostics), expected)
      for (const found of diagnostics) {
        assert.match(found.message, message)
        assert.doesNotMatch(found.message, /[^\x20-\x7e…]/, 'the message is of plain characters')
        assert.equal(found.pointer, '/inputs/localUi')
        assert.equal(found.fileName, 'local-ui.tar')
      }
    })

    if (expected[0]?.endsWith('empty') === true) continue
    it(`with ${what}, compressed: ${expected[0] ?? 'is taken'}`, async () => {
      await using bench = await openBench()
      const input = await bench.put('clusterDefinition', gzipSync(tar))
      const { diagnostics } = await checkClusterDefinition(bench.store, input)
      const noProfiles = 'warning cluster-definition.no-profiles'
      assert.deepEqual(codes(diagnostics), expected.length === 0 ? [noProfiles] : expected)
    })
  }

  for (const format of ['ustar', 'pax', 'gnu', 'oldgnu']) {
    it(`of GNU tar in the format ${format} is read as it is`, async () => {
      await using bench = await openBench()
      const deep = `${'directory/'.repeat(format === 'ustar' ? 12 : 30)}${'n'.repeat(90)}.txt`
      const files = { 'a.txt': 'first', [deep]: 'x'.repeat(100_000), 'z/z.bin': Buffer.alloc(700, 7) }
      const tar = await tarOf(files, `--format=${format}`)
      const input = await bench.put('localUi', tar)
      const read: Record<string, string> = {}
      for await (const { name, type, offset, size } of readTarEntries(new ObjectReader(bench.store, input))) {
        assert.equal(type, 'file')
        read[name ?? ''] = tar.toString('latin1', offset, offset + size)
      }
      const expected = Object.entries(files).map(([name, body]) => [
        name,
        Buffer.from(body).toString('latin1'),
      ])
      assert.deepEqual(Object.entries(read), expected)
    })
  }

  it('of GNU tar with a sparse file is refused', async () => {
    await using bench = await openBench()
    for (const format of ['gnu', 'pax']) {
      const tar = await run('sh', [
        '-c',
        `truncate -s 4G big.bin && tar --sparse --format=${format} -cf - big.bin`,
      ])
      assert.ok(tar.length < 100_000)
      const diagnostics = await checkLocalUi(bench.store, await bench.put('localUi', tar))
      assert.deepEqual(codes(diagnostics), ['error archive.sparse'], format)
    }
  })

  it('is not transferred where it is skipped', async () => {
    await using bench = await openBench()
    const tar = rawTar({ name: 'big', body: Buffer.alloc(20_000_000) }, sound)
    const input = await bench.put('localUi', tar)
    let transferred = 0
    const get: typeof bench.store.get = (key, range) => {
      transferred += range?.length ?? Number.POSITIVE_INFINITY
      return bench.store.get(key, range)
    }
    const store = Object.assign(Object.create(bench.store) as typeof bench.store, { get })
    assert.deepEqual(await checkLocalUi(store, input), [])
    assert.ok(transferred < 200_000, `${transferred} bytes`)
  })

  it('tells what it cannot read apart from what the store cannot give', async () => {
    await using bench = await openBench()
    const input = { ...(await bench.put('localUi', rawTar(sound))), objectKey: 'uploads/data/missing' }
    await assert.rejects(checkLocalUi(bench.store, input), (error) => !(error instanceof ArchiveFault))
  })
})
