import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Build } from '@edgesmith/contract/build'
import { preAuthenticationEncoding, signStatement } from '../src/envelope.ts'
import { describeKey, KeyError, parseKey, type KeyPair } from '../src/keys.ts'
import { maskArguments } from '../src/masked-arguments.ts'
import { provenanceStatement } from '../src/statement.ts'
import { NotVerified, verifyProvenance } from '../src/verify.ts'

const digest = (letter: string) => letter.repeat(64)
const iso = Buffer.from('an image')
const sha256 = createHash('sha256').update(iso).digest('hex')

const build: Build = {
  id: '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11',
  tenant: 'acme',
  project: 'stores',
  state: 'succeeded',
  target: 'iso',
  canvos: { tag: 'v4.9.36', commit: '1b2c3d4e5f60718293a4b5c6d7e8f90123456789' },
  spec: {
    inputs: {
      userData: { upload: `sha256:${digest('a')}` },
      contentBundles: [{ upload: `sha256:${digest('b')}`, fileName: 'core.tar.zst' }],
    },
  },
  arguments: { ARCH: 'amd64', HTTP_PROXY: 'http://joe:hunter2@proxy:3128', REGISTRY_PASSWORD: 'hunter2' },
  labels: {},
  attempt: 1,
  createdAt: '2026-03-14T09:26:53.589Z',
  startedAt: '2026-03-14T09:26:54.020Z',
  endedAt: '2026-03-14T09:41:07.114Z',
  road: 'stamp',
  key: digest('c'),
  baseBuildId: '01939c5e-0000-7c3e-9d7e-0b1f6f3a2c11',
  images: [{ reference: 'registry:5000/edge/kairos:22.04', digest: `sha256:${digest('d')}` }],
  engine: {
    repository: 'https://github.com/spectrocloud/CanvOS.git',
    images: [`sha256:${digest('e')}`],
  },
  artifacts: [],
  diagnostics: [],
}
const subject = { artifact: { name: 'store.iso' }, sha256, build, builderId: 'https://builds.example.com/' }

function newKey(): KeyPair {
  const { privateKey } = generateKeyPairSync('ed25519')
  return parseKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
}

function provenance(key: KeyPair, statement = provenanceStatement(subject)): string {
  return JSON.stringify(signStatement(statement, key))
}

function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof NotVerified)
    return error.message
  }
  return assert.fail('it was verified')
}

describe('Provenance', () => {
  const key = newKey()

  it('tells everything that the build was made of, in the members that SLSA v1 gives it', () => {
    const statement = JSON.parse(provenanceStatement(subject)) as Record<string, unknown>
    assert.deepEqual(statement, {
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'store.iso', digest: { sha256 } }],
      predicateType: 'https://slsa.dev/provenance/v1',
      predicate: {
        buildDefinition: {
          buildType: 'urn:edgesmith:build-type:canvos:v1',
          externalParameters: {
            tag: 'v4.9.36',
            target: 'iso',
            arguments: {
              ARCH: 'amd64',
              HTTP_PROXY: 'http://***@proxy:3128',
              REGISTRY_PASSWORD: '***',
            },
            inputs: [
              { pointer: '/inputs/userData', digest: { sha256: digest('a') } },
              { pointer: '/inputs/contentBundles/0', digest: { sha256: digest('b') } },
            ],
          },
          internalParameters: {
            road: 'stamp',
            key: digest('c'),
            engineImages: [`sha256:${digest('e')}`],
            attempt: 1,
          },
          resolvedDependencies: [
            {
              name: 'canvos',
              uri: 'git+https://github.com/spectrocloud/CanvOS.git@refs/tags/v4.9.36',
              digest: { gitCommit: '1b2c3d4e5f60718293a4b5c6d7e8f90123456789' },
            },
            {
              name: 'registry:5000/edge/kairos:22.04',
              uri: `oci://registry:5000/edge/kairos@sha256:${digest('d')}`,
              digest: { sha256: digest('d') },
            },
            { name: 'base', uri: 'urn:edgesmith:build:01939c5e-0000-7c3e-9d7e-0b1f6f3a2c11' },
            {
              name: '/inputs/userData',
              uri: `urn:edgesmith:upload:sha256:${digest('a')}`,
              digest: { sha256: digest('a') },
            },
            {
              name: '/inputs/contentBundles/0',
              uri: `urn:edgesmith:upload:sha256:${digest('b')}`,
              digest: { sha256: digest('b') },
            },
          ],
        },
        runDetails: {
          builder: {
            id: 'https://builds.example.com/',
            builderDependencies: [
              {
                name: 'engine',
                uri: `urn:edgesmith:engine-image:sha256:${digest('e')}`,
                digest: { sha256: digest('e') },
              },
            ],
          },
          metadata: {
            invocationId: 'urn:edgesmith:build:01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11',
            startedOn: '2026-03-14T09:26:54.020Z',
            finishedOn: '2026-03-14T09:41:07.114Z',
          },
        },
      },
    })
  })

  it('is the same each time, whatever the order of members', () => {
    const shuffled = Object.fromEntries(Object.entries(build).reverse()) as Build
    const again = provenanceStatement({ ...subject, build: shuffled })
    assert.equal(again, provenanceStatement(subject))
    assert.equal(provenance(key, again), provenance(key))
  })

  it('is verified with the key that signed it, also once another one signs', () => {
    const statement = verifyProvenance({ provenance: provenance(key), sha256, keys: [newKey(), key] })
    assert.equal(statement.predicate.buildDefinition.externalParameters.tag, 'v4.9.36')
    verifyProvenance({ provenance: provenance(key), sha256, keys: [key], builderId: subject.builderId })
  })

  it('is refused for another file', () => {
    const other = createHash('sha256').update('another image').digest('hex')
    const message = refusal(() =>
      verifyProvenance({ provenance: provenance(key), sha256: other, keys: [key] }),
    )
    assert.match(message, /the provenance is about store\.iso/)
  })

  it('is refused when the statement, its type or the signature was altered', () => {
    const envelope = signStatement(provenanceStatement(subject), key)
    const statement = Buffer.from(envelope.payload, 'base64').toString()
    const payload = Buffer.from(statement.replace('v4.9.36', 'v4.9.37')).toString('base64')
    const sig = envelope.signatures[0]?.sig ?? ''
    for (const altered of [
      { ...envelope, payload },
      {
        ...envelope,
        signatures: [{ keyid: key.keyId, sig: sig.replace(/^./, sig.startsWith('A') ? 'B' : 'A') }],
      },
      { ...envelope, signatures: [] },
      { ...envelope, payloadType: 'text/plain' },
    ]) {
      refusal(() => verifyProvenance({ provenance: JSON.stringify(altered), sha256, keys: [key] }))
    }
  })

  it('is refused with other keys, and from another builder', () => {
    const made = provenance(key)
    assert.match(
      refusal(() => verifyProvenance({ provenance: made, sha256, keys: [newKey()] })),
      /None of the keys/,
    )
    refusal(() => verifyProvenance({ provenance: made, sha256, keys: [] }))
    assert.match(
      refusal(() => verifyProvenance({ provenance: made, sha256, keys: [key], builderId: 'urn:other' })),
      /The builder is https:\/\/builds\.example\.com\/, not urn:other/,
    )
  })

  it('is refused when it is signed but says something else', () => {
    const slip = provenanceStatement(subject).replace(
      'https://slsa.dev/provenance/v1',
      'https://spdx.dev/Document',
    )
    assert.match(
      refusal(() => verifyProvenance({ provenance: provenance(key, slip), sha256, keys: [key] })),
      /not SLSA v1 provenance/,
    )
    assert.match(
      refusal(() => verifyProvenance({ provenance: 'x', sha256, keys: [key] })),
      /not an envelope/,
    )
  })
})

describe('The signature', () => {
  it('is that of the DSSE protocol', () => {
    // The example of the protocol's specification, with another payload type.
    const encoded = preAuthenticationEncoding(Buffer.from('hello world'))
    assert.equal(encoded.toString(), 'DSSEv1 28 application/vnd.in-toto+json 11 hello world')
    const key = newKey()
    assert.ok(key.privateKey !== undefined)
    const { signatures } = signStatement('hello world', key)
    assert.equal(signatures[0]?.sig, sign(null, encoded, key.privateKey).toString('base64'))
  })
})

describe('Keys of provenance', () => {
  it('are read from either half, and have the same identifier', () => {
    const key = newKey()
    const told = describeKey(key, true)
    const { keyId, privateKey } = parseKey(told.pem)
    assert.equal(keyId, key.keyId)
    assert.equal(privateKey, undefined)
    assert.equal(told.jwk.kid, keyId)
    assert.doesNotMatch(JSON.stringify(told), /PRIVATE|"d"/)
    assert.throws(() => signStatement('{}', parseKey(told.pem)), TypeError)
  })

  it('are of no other kind', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    assert.throws(() => parseKey(pem), KeyError)
    assert.throws(() => parseKey('no key'), KeyError)
  })
})

describe('maskArguments', () => {
  it('masks credentials by the name of the argument and in URLs, and nothing else', () => {
    const plain = { ARCH: 'amd64', K8S_VERSION: '1.29.0', NO_PROXY: 'a,b', BASE_IMAGE: 'r/x@sha256:00' }
    assert.deepEqual(maskArguments(plain), plain)
    assert.deepEqual(
      maskArguments({
        UBUNTU_PRO_KEY: 'C123',
        HTTPS_PROXY: 'http://a:b@c',
        REPO: 'https://tok@host/x',
        S3_SECRET: '',
      }),
      { UBUNTU_PRO_KEY: '***', HTTPS_PROXY: 'http://***@c', REPO: 'https://***@host/x', S3_SECRET: '' },
    )
  })
})
