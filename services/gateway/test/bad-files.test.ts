import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { InputRole } from '@edgesmith/contract/build-spec'
import type { Problem } from '@edgesmith/contract/problem'
import type { ValidationResult } from '@edgesmith/contract/validation'
import { pack, type Header } from 'tar-stream'
import { request } from '../../../test/support/as-operator.ts'
import { startHarness, type Harness } from './harness.ts'

const spec = {
  canvos: { tag: 'v4.9.36' },
  arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04', ISO_NAME: 'store-0042' },
}

type Entry = Partial<Header> & { name: string; body?: string | Buffer }

type File = { role: InputRole; name: string; bytes: Buffer }

const shell = async (command: string): Promise<Buffer> => {
  const { stdout } = await promisify(execFile)('sh', ['-c', command], {
    encoding: 'buffer',
    maxBuffer: 64 * 1024 * 1024,
  })
  return stdout
}

async function tar(...entries: Entry[]): Promise<Buffer> {
  const archive = pack()
  for (const { body = '', ...header } of entries) archive.entry(header, body)
  archive.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of archive) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const iso = Buffer.alloc(0x8800)
iso.write('\u0001CD001', 0x8000)

const overlay = async (entry: Entry): Promise<File> => ({
  role: 'overlay',
  name: 'overlay.tar',
  bytes: await tar({ name: 'overlay/files/etc/motd', body: 'hello' }, entry),
})
const definition = (bytes: Buffer): File => ({ role: 'clusterDefinition', name: 'spc.tgz', bytes })
const bundle = (bytes: Buffer, name = 'core.tar.zst'): File => ({ role: 'contentBundle', name, bytes })
const names = ['a\nb', 'a"b', "a'b", '$(reboot)', '`reboot`', 'раsswd', 'a\u202eb']

const cases: { name: string; files: () => Promise<File[]> | File[]; errors: string[] }[] = [
  {
    name: 'an overlay with an absolute path',
    files: async () => [await overlay({ name: '/etc/passwd' })],
    errors: ['archive.absolute-path /inputs/overlay'],
  },
  {
    name: 'an overlay with a path that leads out',
    files: async () => [await overlay({ name: 'overlay/files/../../Earthfile' })],
    errors: ['archive.parent-path /inputs/overlay'],
  },
  {
    name: 'an overlay with a symbolic link',
    files: async () => [await overlay({ name: 'overlay/files/a', type: 'symlink', linkname: '/etc' })],
    errors: ['archive.link /inputs/overlay'],
  },
  {
    name: 'an overlay with a hard link',
    files: async () => [await overlay({ name: 'overlay/files/a', type: 'link', linkname: '/etc/shadow' })],
    errors: ['archive.link /inputs/overlay'],
  },
  {
    name: 'an overlay with a device',
    files: async () => [await overlay({ name: 'overlay/files/a', type: 'character-device' })],
    errors: ['archive.device /inputs/overlay'],
  },
  {
    name: 'an overlay with a sparse file of gigabytes',
    files: async () => [
      {
        role: 'overlay',
        name: 'overlay.tar',
        bytes: await shell(
          'd=$(mktemp -d) && cd $d && mkdir -p overlay/files && truncate -s 4G overlay/files/a && tar --sparse -cf - overlay; rm -r $d',
        ),
      },
    ],
    errors: ['archive.sparse /inputs/overlay'],
  },
  {
    name: 'an overlay with an Earthfile',
    files: async () => [await overlay({ name: 'Earthfile', body: 'VERSION 0.8\n' })],
    errors: ['overlay.path /inputs/overlay'],
  },
  ...names.map((name) => ({
    name: `an overlay with the name ${JSON.stringify(name)}`,
    files: async () => [await overlay({ name: `overlay/files/${name}` })],
    errors: ['archive.odd-name /inputs/overlay'],
  })),
  {
    name: 'a cluster definition with a path that leads out',
    files: async () => [definition(gzipSync(await tar({ name: '../../etc/cron.d/a' })))],
    errors: ['archive.parent-path /inputs/clusterDefinition'],
  },
  {
    name: 'a gzip in a gzip',
    files: async () => [definition(gzipSync(gzipSync(await tar({ name: 'a.json', body: '{}' }))))],
    errors: ['archive.nested-gzip /inputs/clusterDefinition'],
  },
  {
    name: 'a cluster definition that is a tar',
    files: async () => [definition(await tar({ name: 'a.json', body: '{}' }))],
    errors: ['cluster-definition.wrong-kind /inputs/clusterDefinition'],
  },
  {
    name: 'an ISO image in place of a bundle',
    files: () => [bundle(iso, 'core.iso')],
    errors: ['content-bundle.wrong-kind /inputs/contentBundles/0'],
  },
  {
    name: 'random bytes in place of a bundle',
    files: () => [bundle(Buffer.concat([Buffer.alloc(4), randomBytes(5000)]))],
    errors: ['content-bundle.wrong-kind /inputs/contentBundles/0'],
  },
  {
    name: 'two bundles of one name, one of them in a tar',
    files: async () => [
      bundle(zstdCompressSync(await tar({ name: 'oci-layout', body: '{}' })), 'core.zst'),
      bundle(await tar({ name: 'content-a/core.zst', body: zstdCompressSync('x') }), 'all.tar'),
    ],
    errors: ['content-bundle.name-clash /inputs/contentBundles/1'],
  },
  {
    name: 'a compressed Local UI',
    files: async () => [{ role: 'localUi', name: 'ui.tar', bytes: gzipSync(await tar({ name: 'a' })) }],
    errors: ['local-ui.wrong-kind /inputs/localUi'],
  },
  {
    name: 'a private key as the public key',
    files: async () => [
      { role: 'publicKey', name: 'key.pem', bytes: await shell('openssl genpkey -algorithm ed25519') },
    ],
    errors: ['public-key.private /inputs/publicKey'],
  },
  {
    name: 'a signature that does not fit',
    files: async () => [
      {
        role: 'publicKey',
        name: 'key.pem',
        bytes: await shell('openssl genrsa 2048 2>/dev/null | openssl rsa -pubout 2>/dev/null'),
      },
      definition(gzipSync(await tar({ name: 'a.json', body: '{}' }))),
      { role: 'clusterDefinitionSignature', name: 'spc.tgz.sig', bytes: randomBytes(256) },
    ],
    errors: ['signature.mismatch /inputs/clusterDefinitionSignature'],
  },
  {
    name: 'everything wrong at once',
    files: async () => [
      bundle(iso, 'core.iso'),
      definition(gzipSync(await tar({ name: '/a' }))),
      { role: 'cert', name: 'ca.pem', bytes: Buffer.from('nothing') },
      { role: 'edgeCustomConfig', name: 'config.yaml', bytes: Buffer.from('content: {}') },
      { role: 'localUi', name: 'ui.tar', bytes: await tar({ name: '../a' }) },
      await overlay({ name: '.git/config', body: 'x' }),
    ],
    errors: [
      'archive.absolute-path /inputs/clusterDefinition',
      'archive.parent-path /inputs/localUi',
      'cert.not-pem /inputs/certs/0',
      'content-bundle.wrong-kind /inputs/contentBundles/0',
      'edge-custom-config.missing-key /inputs/edgeCustomConfig',
      'overlay.path /inputs/overlay',
    ],
  },
]

describe('bad files', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness[Symbol.asyncDispose]())

  function send(path: string, files: readonly File[], body: object = spec) {
    const sent = request(harness.url).post(path).field('spec', JSON.stringify(body))
    for (const { role, name, bytes } of files) void sent.attach(role, bytes, name)
    return sent
  }

  for (const { name, files, errors } of cases) {
    it(`${name}: 422, and nothing is left`, async () => {
      const sent = await files()
      const refused = await send('/v1/builds', sent)
      const problem = refused.body as Problem
      assert.deepEqual(
        [refused.status, problem.type],
        [422, 'urn:edgesmith:problem:invalid-input'],
        refused.text,
      )
      const found = (problem.errors ?? []).filter(({ severity }) => severity === 'error')
      assert.deepEqual(found.map(({ code, pointer }) => `${code} ${pointer ?? ''}`).sort(), errors)
      for (const { message, documentation } of found) {
        assert.match(message, /\.$/)
        assert.match(documentation ?? '', /^docs\/inputs\.md#[a-z-]+$/)
      }
      const validated = await send('/v1/validations', sent)
      assert.equal(validated.status, 200)
      assert.deepEqual((validated.body as ValidationResult).diagnostics, problem.errors)
      assert.deepEqual(await harness.keys(), [], 'nothing is left in the object store')
      assert.deepEqual(await harness.incoming(), [], 'nothing is still being received')
      assert.deepEqual((await request(harness.url).get('/v1/builds')).body, { items: [] })
      assert.equal((await request(harness.url).get('/readyz')).status, 200)
    })
  }

  it('good files of every role pass, and are told what becomes of them', async () => {
    const key = 'd=$(mktemp -d) && cd $d && openssl genrsa -out key.pem 2048 2>/dev/null'
    const profile = { name: 'edge-infra', version: '1.2.0', packs: [] }
    const keys = [
      'enrollment/PK.auth',
      'private-keys/db.key',
      'private-keys/tpm2-pcr-private.pem',
      'public-keys/db.pem',
    ]
    const files: File[] = [
      bundle(zstdCompressSync(await tar({ name: 'oci-layout', body: '{}' }))),
      bundle(await tar({ name: 'oci-layout', body: '{}' }), 'extra.tar'),
      bundle(await tar({ name: 'content-a/more.zst', body: zstdCompressSync('x') }), 'all.tar'),
      definition(gzipSync(await tar({ name: 'spc/profile.json', body: JSON.stringify(profile) }))),
      {
        role: 'publicKey',
        name: 'key.pub',
        bytes: await shell(`${key} && openssl rsa -in key.pem -pubout 2>/dev/null; rm -r $d`),
      },
      { role: 'localUi', name: 'local-ui.tar', bytes: await tar({ name: 'index.html', body: 'x' }) },
      {
        role: 'secureBoot',
        name: 'secure-boot.tar',
        bytes: await tar(...keys.map((name) => ({ name: `secure-boot/${name}`, body: 'x' }))),
      },
      await overlay({ name: 'Dockerfile', body: 'ARG BASE\nFROM $BASE\n' }),
    ]
    const body = { ...spec, arguments: { ...spec.arguments, IS_UKI: true } }
    const answer = await send('/v1/validations', files, body)
    const result = answer.body as ValidationResult
    const told = result.diagnostics.filter(({ source }) => source !== 'arguments')
    assert.deepEqual(
      told.map(({ severity, code, pointer }) => `${severity} ${code} ${pointer ?? ''}`).sort(),
      [
        'info cluster-definition.profiles /inputs/clusterDefinition',
        'info content-bundle.wrapped /inputs/contentBundles/1',
      ],
    )
    assert.equal(result.valid, true, answer.text)
    assert.deepEqual(result.clusterDefinition, { profiles: [{ name: 'edge-infra', version: '1.2.0' }] })
    assert.equal(result.arguments['EDGE_CUSTOM_CONFIG'], '.edge-custom-config.yaml')
    assert.deepEqual(await harness.keys(), [])
  })
})
