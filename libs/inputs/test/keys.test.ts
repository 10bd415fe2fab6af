import assert from 'node:assert/strict'
import { constants, createHash, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { layoutInputs } from '@edgesmith/canvos/workspace'
import type { InputRole } from '@edgesmith/contract/build-spec'
import { parse } from 'yaml'
import { checkInputs } from '../src/check-inputs.ts'
import { laidContent } from '../src/laid-content.ts'
import { verifySignature } from '../src/signature.ts'
import { codes, openBench, run } from './fixtures.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const short = generateKeyPairSync('rsa', { modulusLength: 1024 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed = generateKeyPairSync('ed25519')
const pem = ({ publicKey }: { publicKey: KeyObject }) =>
  String(publicKey.export({ type: 'spki', format: 'pem' }))
const der = ({ publicKey }: { publicKey: KeyObject }, type: 'spki' | 'pkcs1') =>
  Buffer.from(publicKey.export({ type, format: 'der' }))
const privatePem = String(rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }))
const base64 = (bytes: string | Buffer) => Buffer.from(bytes).toString('base64')
const now = new Date('2026-01-01')

async function check(files: readonly [role: InputRole, content: string | Buffer, name?: string][]) {
  await using bench = await openBench()
  const inputs = await Promise.all(
    files.map(([role, content, name]) => bench.put(role, Buffer.from(content), name)),
  )
  return codes((await checkInputs(bench.store, inputs, now)).diagnostics)
}

describe('a public key', () => {
  const taken: [what: string, content: string | Buffer][] = [
    ['PEM', pem(rsa)],
    ['PEM with CRLF', pem(rsa).replaceAll('\n', '\r\n')],
    ['PEM in PKCS #1 form', String(rsa.publicKey.export({ type: 'pkcs1', format: 'pem' }))],
    ['PEM in base64', base64(pem(rsa))],
    ['PEM in base64 with line breaks', `${base64(pem(rsa)).replaceAll(/(.{76})/g, '$1\n')}\n`],
    ['DER', der(rsa, 'spki')],
    ['DER in base64', base64(der(rsa, 'spki'))],
    ['DER in PKCS #1 form', der(rsa, 'pkcs1')],
  ]
  for (const [what, content] of taken) {
    it(`as ${what} becomes an edge custom configuration that holds it`, async () => {
      await using bench = await openBench()
      const input = await bench.put('publicKey', Buffer.from(content), 'key')
      assert.deepEqual((await checkInputs(bench.store, [input], now)).diagnostics, [])
      const layout = layoutInputs({ tag: 'v4.9.36', inputs: [input], arguments: {} })
      assert.deepEqual(layout.arguments, { EDGE_CUSTOM_CONFIG: '.edge-custom-config.yaml' })
      const [file] = layout.files
      assert.ok(file !== undefined && file.path === '.edge-custom-config.yaml')
      const { size, open } = await laidContent(bench.store, file)
      const config = await buffer(await open())
      assert.equal(config.length, size)
      const {
        content: { signing },
      } = parse(config.toString()) as {
        content: { signing: { publicKey: { base64EncodedValue: string; description: string } } }
      }
      const value = Buffer.from(signing.publicKey.base64EncodedValue, 'base64').toString()
      assert.equal(value, pem(rsa))
      assert.ok(createPublicKey(value).equals(rsa.publicKey))
      // The service's own file passes its own check.
      assert.deepEqual(await check([['edgeCustomConfig', config]]), [])
    })
  }

  it('of openssl is taken', async () => {
    const made = await run('sh', ['-c', 'openssl genrsa 2048 2>/dev/null | openssl rsa -pubout 2>/dev/null'])
    assert.deepEqual(await check([['publicKey', made]]), [])
  })

  for (const [what, content, expected] of [
    ['of Ed25519', pem(ed), 'warning public-key.not-rsa'],
    ['of an elliptic curve', pem(ec), 'warning public-key.not-rsa'],
    ['of 1024 bits', pem(short), 'warning public-key.short'],
    ['that is the private key', privatePem, 'error public-key.private'],
    ['that is the private key in base64', base64(privatePem), 'error public-key.private'],
    ['that is cut', pem(rsa).slice(0, 200), 'error public-key.unreadable'],
    ['that is text', 'ssh-rsa AAAAB3 me@example.com', 'error public-key.unreadable'],
    ['that is random', randomBytes(300), 'error public-key.unreadable'],
    ['of megabytes', Buffer.alloc(3_000_000, 'A'), 'error input.too-large'],
  ] as const) {
    it(`${what}: ${expected}`, async () => {
      assert.deepEqual(await check([['publicKey', content]]), [expected])
    })
  }

  it('and an edge custom configuration together are refused', () => {
    const inputs = (['publicKey', 'edgeCustomConfig'] as const).map((role) => ({
      role,
      kind: 'pem',
      pointer: `/inputs/${role}`,
    }))
    const { files, diagnostics } = layoutInputs({ tag: 'v4.9.36', inputs, arguments: {} })
    assert.deepEqual([codes(diagnostics), files.length], [['error public-key.twice'], 1])
  })
})

describe('an edge custom configuration', () => {
  const config = (fields: string) => `content:\n  signing:\n    publicKey:\n${fields}`
  const value = `      base64EncodedValue: ${base64(pem(rsa))}\n`
  for (const [what, content, expected] of [
    ['as documented', config(`${value}      description: "a key"\n`), []],
    [
      'that is the template',
      config('      base64EncodedValue: ""\n'),
      ['error edge-custom-config.missing-key'],
    ],
    ['that is empty', ' ', ['error edge-custom-config.missing-key']],
    ['that is a list', '- a\n', ['error edge-custom-config.missing-key']],
    ['that is no YAML', 'content: [\n', ['error edge-custom-config.syntax']],
    ['with a key twice', config(value + value), ['error edge-custom-config.syntax']],
    [
      'with a misspelled field',
      config(`      base64encodedValue: ${base64(pem(rsa))}\n`),
      ['warning edge-custom-config.unknown-field', 'error edge-custom-config.missing-key'],
    ],
    ['with a field more', config(`${value}extra: 1\n`), ['warning edge-custom-config.unknown-field']],
    ['with another value', config('      base64EncodedValue: aGVsbG8=\n'), ['error public-key.unreadable']],
    [
      'with a private key',
      config(`      base64EncodedValue: ${base64(privatePem)}\n`),
      ['error public-key.private'],
    ],
    [
      'with aliases upon aliases',
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`,
      ['error edge-custom-config.missing-key'],
    ],
  ] as const) {
    it(`${what}: ${expected.join(', ') || 'is taken'}`, async () => {
      assert.deepEqual(await check([['edgeCustomConfig', content]]), expected)
    })
  }
})

describe('a signature', () => {
  const file = randomBytes(200_000)
  const digest = createHash('sha256').update(file).digest()
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  const schemes: [what: string, keys: { publicKey: KeyObject }, make: (bytes: Buffer) => Buffer][] = [
    ['RSA PKCS #1', rsa, (bytes) => sign('sha256', bytes, rsa.privateKey)],
    ['RSA PSS', rsa, (bytes) => sign('sha256', bytes, { key: rsa.privateKey, ...pss })],
    ['ECDSA', ec, (bytes) => sign('sha256', bytes, ec.privateKey)],
    ['ECDSA P1363', ec, (bytes) => sign('sha256', bytes, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' })],
    ['Ed25519', ed, (bytes) => sign(null, bytes, ed.privateKey)],
  ]
  for (const [what, keys, make] of schemes) {
    for (const [over, bytes] of [
      ['the file', file],
      ['its SHA-256', digest],
    ] as const) {
      it(`by ${what} over ${over} is verified, raw and in base64`, async () => {
        for (const form of [
          (raw: Buffer) => raw,
          (raw: Buffer) => Buffer.from(`${raw.toString('base64')}\n`),
        ]) {
          const told = (signed: Buffer) =>
            check([
              ['publicKey', pem(keys)],
              ['contentBundle', file, 'core.zst'],
              ['contentBundleSignature', form(signed), 'core.zst.sig'],
            ])
          const keyOnly = what.startsWith('RSA') ? [] : ['warning public-key.not-rsa']
          assert.deepEqual(await told(make(bytes)), keyOnly)
          const damaged = Buffer.from(make(bytes))
          damaged[20] = (damaged[20] ?? 0) ^ 1
          assert.deepEqual(await told(damaged), [...keyOnly, 'error signature.mismatch'])
          assert.deepEqual(await told(make(randomBytes(32))), [...keyOnly, 'error signature.mismatch'])
        }
      })
    }
  }

  it('of openssl dgst is verified', async () => {
    const files = { 'core.zst': file, 'key.pem': privatePem }
    const signature = await run('openssl', ['dgst', '-sha256', '-sign', 'key.pem', 'core.zst'], files)
    const told = await check([
      ['edgeCustomConfig', `content: {signing: {publicKey: {base64EncodedValue: ${base64(pem(rsa))}}}}`],
      ['clusterDefinition', file],
      ['clusterDefinitionSignature', signature],
    ])
    assert.deepEqual(told, [])
  })

  it('by RSA is verified without reading the file again', async () => {
    const open = () => Promise.reject(new Error('read again'))
    const signature = sign('sha256', file, rsa.privateKey)
    assert.equal(await verifySignature(rsa.publicKey, signature, { digest, size: 20e9, open }), 'valid')
    assert.equal(await verifySignature(ec.publicKey, signature, { digest, size: 20e9, open }), 'unknown')
    assert.equal(await verifySignature(ed.publicKey, signature, { digest, size: 20e9, open }), 'unknown')
  })

  it('that cannot be verified is told', async () => {
    const files: [InputRole, Buffer][] = [
      ['clusterDefinition', file],
      ['clusterDefinitionSignature', randomBytes(64)],
    ]
    const told = await check([['publicKey', pem(generateKeyPairSync('x25519'))], ...files])
    assert.deepEqual(told, ['warning public-key.not-rsa', 'warning signature.not-verified'])
    for (const length of [1, 63, 64, 256, 5000]) {
      const short: [InputRole, Buffer] = ['clusterDefinitionSignature', randomBytes(length)]
      for (const keys of [rsa, ec, ed]) {
        const result = await check([['publicKey', pem(keys)], ['clusterDefinition', file], short])
        assert.equal(result.at(-1), 'error signature.mismatch')
      }
    }
  })

  it('belongs to the bundle that it is named after', async () => {
    const other = randomBytes(1000)
    const bundles: [InputRole, Buffer, string][] = [
      ['contentBundle', file, 'core'],
      ['contentBundle', other, 'core.zst'],
    ]
    const of = (bytes: Buffer, name: string): [InputRole, Buffer, string] => [
      'contentBundleSignature',
      sign('sha256', bytes, rsa.privateKey),
      name,
    ]
    const key: [InputRole, string] = ['publicKey', pem(rsa)]
    assert.deepEqual(await check([key, ...bundles, of(file, 'core.sig'), of(other, 'core.zst.sig')]), [])
    assert.deepEqual(await check([key, ...bundles, of(file, 'core.zst.sig')]), ['error signature.mismatch'])
    assert.deepEqual(await check([key, ...bundles, of(file, 'else.sig')]), ['error signature.no-file'])
  })

  it('without its file or without a key is told', async () => {
    assert.deepEqual(await check([['clusterDefinitionSignature', 'abcd']]), ['error signature.no-file'])
    assert.deepEqual(
      await check([
        ['clusterDefinition', file],
        ['clusterDefinitionSignature', 'abcd'],
      ]),
      ['warning signature.no-key'],
    )
  })
})
