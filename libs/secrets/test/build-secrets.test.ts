import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ProblemError } from '@edgesmith/contract/problem'
import {
  checkBuildSecrets,
  dockerConfigOf,
  earthlySecretVersions,
  openBuildSecrets,
  SecretUnavailable,
} from '@edgesmith/secrets/build-secrets'
import { Keyring } from '@edgesmith/secrets/keyring'
import { sealArguments, unsealArguments, withoutPasswords } from '@edgesmith/secrets/sealed-arguments'
import { putSecret, removeSecret, secretKey, type Vault } from '@edgesmith/secrets/secret-store'
import { openDirectoryStore } from '@edgesmith/store/directory-store'

const project = { tenant: 'acme', project: 'stores' }

describe('The secrets of a build', () => {
  let directory: string
  let vault: Vault
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-build-secrets-'))
    vault = { project, store: await openDirectoryStore(directory), keyring: new Keyring([randomBytes(32)]) }
    const at = new Date()
    const password = 'canary-password'
    await putSecret(
      vault,
      'harbor',
      { kind: 'registry', registry: 'harbor.example.com', username: 'robot', password },
      at,
    )
    await putSecret(
      vault,
      'harbor-2',
      { kind: 'registry', registry: 'harbor.example.com', username: 'robot', password },
      at,
    )
    await putSecret(vault, 'hub', { kind: 'registry', registry: 'docker.io', username: 'me', password }, at)
    await putSecret(vault, 'pro', { kind: 'ubuntu-pro', token: 'canary-pro-token' }, at)
    await putSecret(vault, 'palette', { kind: 'palette-api-key', apiKey: 'canary-palette' }, at)
    await putSecret(vault, 'other', { kind: 'opaque', value: 'canary\nopaque' }, at)
    await putSecret(vault, 'sealed-elsewhere', { kind: 'opaque', value: 'canary-opaque' }, at)
    await putSecret(
      { ...vault, keyring: new Keyring([randomBytes(32)]) },
      'old',
      { kind: 'opaque', value: 'canary-old' },
      at,
    )
    await vault.store.put(secretKey('broken'), Buffer.from('{}'))
  })
  after(() => rm(directory, { recursive: true }))

  it('are there, of the right kind, and can be opened', async () => {
    const good = { registries: ['harbor', 'hub'], ubuntuPro: 'pro', earthly: { A: 'palette', B: 'other' } }
    assert.deepEqual(await checkBuildSecrets(vault, good), [])
    assert.deepEqual(await checkBuildSecrets(vault, undefined), [])
    const diagnostics = await checkBuildSecrets(vault, {
      registries: ['harbor', 'harbor-2', 'pro', 'absent'],
      ubuntuPro: 'other',
      earthly: { UBUNTU_PRO_KEY: 'pro', A: 'harbor', B: 'old', C: 'broken' },
    })
    assert.deepEqual(
      diagnostics.map(({ code, pointer }) => `${code} ${pointer ?? ''}`),
      [
        'secrets.same-registry /secrets/registries/1',
        'secrets.kind /secrets/registries/2',
        'secrets.not-found /secrets/registries/3',
        'secrets.kind /secrets/ubuntuPro',
        'secrets.kind /secrets/earthly/A',
        'secrets.unknown-key /secrets/earthly/B',
        'secrets.damaged /secrets/earthly/C',
        'secrets.same-id /secrets/earthly/UBUNTU_PRO_KEY',
      ],
    )
    assert.doesNotMatch(JSON.stringify(diagnostics), /canary/)
  })

  it('are refused where the service has no key', async () => {
    const keyless = { ...vault, keyring: undefined }
    assert.deepEqual(await checkBuildSecrets(keyless, undefined), [])
    await assert.rejects(
      checkBuildSecrets(keyless, { ubuntuPro: 'pro' }),
      (error) => error instanceof ProblemError && error.code === 'secrets-unavailable',
    )
  })

  it('are opened for the builder, with their versions', async () => {
    const secrets = { registries: ['harbor', 'hub'], ubuntuPro: 'pro', earthly: { A: 'palette', B: 'other' } }
    const opened = await openBuildSecrets(vault, secrets)
    assert.deepEqual(
      [...opened.earthly].map(([id, { value }]) => [id, value]),
      [
        ['A', 'canary-palette'],
        ['B', 'canary\nopaque'],
        ['UBUNTU_PRO_KEY', 'canary-pro-token'],
      ],
    )
    assert.deepEqual(
      Object.fromEntries([...opened.earthly].map(([id, { version }]) => [id, version])),
      await earthlySecretVersions(vault, secrets),
    )
    assert.deepEqual(JSON.parse(dockerConfigOf(opened) ?? ''), {
      auths: {
        'harbor.example.com': { auth: Buffer.from('robot:canary-password').toString('base64') },
        'https://index.docker.io/v1/': { auth: Buffer.from('me:canary-password').toString('base64') },
      },
    })
    assert.equal(dockerConfigOf(await openBuildSecrets(vault, undefined)), undefined)
  })

  it('have another version once they are set anew', async () => {
    const before = await earthlySecretVersions(vault, { earthly: { A: 'other' } })
    await putSecret(vault, 'other', { kind: 'opaque', value: 'canary\nopaque' }, new Date())
    assert.notDeepEqual(await earthlySecretVersions(vault, { earthly: { A: 'other' } }), before)
  })

  it('are told by name when they are gone, or of another kind', async () => {
    await putSecret(vault, 'passing', { kind: 'opaque', value: 'canary-passing' }, new Date())
    await removeSecret(vault, 'passing')
    for (const secrets of [
      { earthly: { A: 'passing' } },
      { earthly: { A: 'hub' } },
      { registries: ['pro'] },
      { earthly: { A: 'old' } },
      { earthly: { A: 'broken' } },
    ]) {
      await assert.rejects(
        openBuildSecrets(vault, secrets),
        (error) => error instanceof SecretUnavailable && !error.message.includes('canary'),
      )
    }
  })
})

describe('Passwords in arguments', () => {
  const keyring = new Keyring([randomBytes(32)])
  const vault = { project, keyring }
  const given = {
    ARCH: 'amd64',
    HTTPS_PROXY: 'http://user:canary%2Dproxy@proxy:3128',
    NO_PROXY: '10.0.0.0/8',
  }

  it('are masked in what is recorded, and sealed for the builder', () => {
    const recorded = sealArguments(vault, given)
    assert.match(recorded.arguments['HTTPS_PROXY'] ?? '', /^http:\/\/user:\*\*\*[0-9a-f]{16}@proxy:3128$/)
    assert.doesNotMatch(JSON.stringify(recorded), /canary/)
    assert.equal(recorded.arguments['ARCH'], 'amd64')
    assert.deepEqual(Object.keys(recorded.sealedArguments ?? {}), ['HTTPS_PROXY'])
    assert.deepEqual(unsealArguments(vault, recorded), given)
  })

  it('keep builds apart, and not those with the same', () => {
    const proxyOf = (password: string) =>
      sealArguments(vault, { HTTPS_PROXY: `http://user:${password}@proxy` }).arguments['HTTPS_PROXY']
    assert.equal(proxyOf('one-password'), proxyOf('one-password'))
    assert.notEqual(proxyOf('one-password'), proxyOf('another-password'))
  })

  it('are unsealed for the same project alone', () => {
    const recorded = sealArguments(vault, given)
    const other = { project: { tenant: 'acme', project: 'other' }, keyring }
    assert.throws(() => unsealArguments(other, recorded), /not what was sealed/)
  })

  it('are refused without a key; arguments without passwords need none', () => {
    const keyless = { project, keyring: undefined }
    assert.throws(
      () => sealArguments(keyless, given),
      (error) => error instanceof ProblemError && error.code === 'secrets-unavailable',
    )
    assert.deepEqual(sealArguments(keyless, { ARCH: 'amd64' }), { arguments: { ARCH: 'amd64' } })
  })

  it('are masked in the spec', () => {
    const spec = withoutPasswords({ arguments: { ...given, UPDATE_KERNEL: true } })
    assert.deepEqual(spec.arguments, {
      ...given,
      UPDATE_KERNEL: true,
      HTTPS_PROXY: 'http://user:***@proxy:3128',
    })
  })
})
