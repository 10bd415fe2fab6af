import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { checkClusterDefinition } from '../src/cluster-definition.ts'
import { findProfiles } from '../src/cluster-profiles.ts'
import { codes, openBench, rawTar, run, tarOf } from './fixtures.ts'

const profile = {
  metadata: { name: 'edge-infra', uid: '65c90' },
  spec: { version: '1.2.0', published: { packs: [{ name: 'edge-k3s', version: '1.30.4' }] } },
}

async function check(bytes: Buffer) {
  await using bench = await openBench()
  const input = await bench.put('clusterDefinition', bytes, 'spc.tgz')
  const { definition, diagnostics } = await checkClusterDefinition(bench.store, input)
  return {
    profiles: definition?.profiles,
    told: codes(diagnostics),
    messages: diagnostics.map((d) => d.message),
  }
}

describe('a cluster definition', () => {
  it('has its profiles listed', async () => {
    const tar = await tarOf(
      {
        'spc/spc.json': JSON.stringify({
          spec: { clusterProfileTemplates: [{ name: 'apps', profileVersion: '2.0.0', packs: [] }, profile] },
        }),
        'spc/profiles/again.json': JSON.stringify(profile),
        'spc/packs/values.yaml': 'a: b\n',
        'spc/broken.json': '{"packs": [',
      },
      '--gzip',
    )
    const { profiles, told, messages } = await check(tar)
    assert.deepEqual(told, ['info cluster-definition.profiles'])
    assert.deepEqual(
      profiles?.sort((one, other) => (one.name < other.name ? -1 : 1)),
      [
        { name: 'apps', version: '2.0.0' },
        { name: 'edge-infra', version: '1.2.0' },
      ],
    )
    assert.match(
      messages[0] ?? '',
      /"apps 2\.0\.0".*"edge-infra 1\.2\.0"|"edge-infra 1\.2\.0".*"apps 2\.0\.0"/,
    )
  })

  it('without a known profile passes with a warning', async () => {
    const { profiles, told } = await check(await tarOf({ 'cluster.json': '{"site": "a"}' }, '--gzip'))
    assert.deepEqual([profiles, told], [[], ['warning cluster-definition.no-profiles']])
  })

  const whole = gzipSync(rawTar({ name: 'spc/a.json', body: JSON.stringify(profile).padEnd(20_000) }))
  const refused: [what: string, bytes: () => Buffer | Promise<Buffer>, code: string][] = [
    ['a gzip in a gzip', () => gzipSync(whole), 'archive.nested-gzip'],
    ['text in a gzip', () => gzipSync('hello '.repeat(500)), 'archive.damaged'],
    ['nothing in a gzip', () => gzipSync(''), 'archive.empty'],
    ['a gzip that is cut', () => whole.subarray(0, -10), 'cluster-definition.corrupt'],
    [
      'a gzip with a changed byte',
      () => Buffer.from(whole.map((byte, index) => (index === whole.length - 6 ? byte ^ 1 : byte))),
      'cluster-definition.corrupt',
    ],
    [
      'zeros without an end in a file',
      () => run('sh', ['-c', 'truncate -s 400M zeros && tar -cf - zeros | gzip -1']),
      'archive.expands-too-far',
    ],
    [
      'zeros without an end behind the last file',
      () =>
        run('sh', ['-c', '(cat a.tar; head -c 400M /dev/zero) | gzip -1'], {
          'a.tar': rawTar({ name: 'a' }),
        }),
      'archive.expands-too-far',
    ],
    ['zeros alone', () => run('sh', ['-c', 'head -c 400M /dev/zero | gzip -1']), 'archive.empty'],
  ]
  for (const [what, bytes, code] of refused) {
    it(`is refused: ${what}`, async () => {
      const file = await bytes()
      const before = process.memoryUsage().rss
      const { told, profiles } = await check(file)
      assert.deepEqual([told, profiles], [[`error ${code}`], undefined])
      assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024, 'memory is bounded')
    })
  }
})

describe('findProfiles', () => {
  it('takes nothing that is no profile', () => {
    for (const document of [
      null,
      1,
      'packs',
      [],
      {},
      { packs: [] },
      { packs: 'a', name: 'b' },
      { name: 'a' },
    ]) {
      assert.deepEqual(findProfiles(document), [], JSON.stringify(document))
    }
  })

  it('stops in a document without an end of depth', () => {
    const depth = 300_000
    assert.deepEqual(findProfiles(JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`)), [])
  })

  it('tells name and version as text', () => {
    assert.deepEqual(findProfiles({ name: 'a', version: 3, packs: [] }), [{ name: 'a', version: '3' }])
    assert.deepEqual(findProfiles([{ name: 'a', packs: [] }]), [{ name: 'a' }])
  })
})
