import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { ProblemError, type ProblemCode } from '@edgesmith/contract/problem'
import type { SecretValue } from '@edgesmith/contract/secret'
import { Keyring, UnsealError } from '@edgesmith/secrets/keyring'
import { resealAll } from '@edgesmith/secrets/reseal'
import {
  getSecret,
  listSecrets,
  openSecret,
  putSecret,
  removeSecret,
  secretKey,
  type Vault,
} from '@edgesmith/secrets/secret-store'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { ProjectStores } from '@edgesmith/store/project-stores'

const registry: SecretValue = {
  kind: 'registry',
  registry: 'harbor.example.com',
  username: 'robot',
  password: 'canary-password',
}

function withCode(code: ProblemCode): (error: unknown) => boolean {
  return (error) => error instanceof ProblemError && error.code === code
}

describe('The secrets of a project', () => {
  const keys = [randomBytes(32), randomBytes(32)] as const
  let directory: string
  let store: ObjectStore
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-secrets-'))
    store = await openDirectoryStore(directory)
  })
  after(() => rm(directory, { recursive: true }))

  const vaultOf = (
    tenant: string,
    project: string,
    keyring: Keyring | undefined = new Keyring([keys[0]]),
  ): Vault => ({
    project: { tenant, project },
    store: new ProjectStores(store).of({ tenant, project }),
    keyring,
  })

  /** Changes an object's bytes. */
  const alter = async (vault: Vault, name: string, change: (record: string) => string) => {
    const record = (await buffer(await vault.store.get(secretKey(name)))).toString()
    await vault.store.put(secretKey(name), Buffer.from(change(record)))
  }

  it('are set, told of without what they hold, replaced, and deleted', async () => {
    const vault = vaultOf('acme', 'life')
    const first = await putSecret(vault, 'harbor', registry, new Date('2026-03-14T09:26:53.589Z'))
    assert.equal(first.created, true)
    assert.deepEqual(
      { ...first.secret, version: '' },
      {
        name: 'harbor',
        kind: 'registry',
        registry: 'harbor.example.com',
        version: '',
        keyId: vault.keyring?.newestId,
        state: 'usable',
        createdAt: '2026-03-14T09:26:53.589Z',
        updatedAt: '2026-03-14T09:26:53.589Z',
      },
    )
    const second = await putSecret(
      vault,
      'harbor',
      { kind: 'opaque', value: 'something' },
      new Date('2026-03-15T00:00:00.000Z'),
    )
    assert.equal(second.created, false)
    assert.notEqual(second.secret.version, first.secret.version)
    assert.equal(second.secret.createdAt, '2026-03-14T09:26:53.589Z')
    assert.deepEqual(await getSecret(vault, 'harbor'), second.secret)
    assert.deepEqual(await listSecrets(vault), [second.secret])
    assert.deepEqual((await openSecret(vault, 'harbor'))?.value, { kind: 'opaque', value: 'something' })
    await removeSecret(vault, 'harbor')
    assert.deepEqual(await listSecrets(vault), [])
    assert.equal(await openSecret(vault, 'harbor'), undefined)
    await assert.rejects(getSecret(vault, 'harbor'), withCode('secret-not-found'))
    await assert.rejects(removeSecret(vault, 'harbor'), withCode('secret-not-found'))
  })

  it('are not in what is stored, and not in what is told', async () => {
    const vault = vaultOf('acme', 'sealed')
    const { secret } = await putSecret(vault, 'harbor', registry, new Date())
    const stored = await buffer(await store.get(`projects/acme/sealed/${secretKey('harbor')}`))
    for (const text of [stored.toString(), JSON.stringify(secret)]) {
      for (const canary of [
        'canary-password',
        'robot',
        Buffer.from('canary-password').toString('base64').slice(0, 16),
      ])
        assert.ok(!text.includes(canary))
    }
  })

  it('are of one project: another has none of them, also when it gets the record', async () => {
    const vault = vaultOf('acme', 'one')
    await putSecret(vault, 'harbor', registry, new Date())
    for (const other of [vaultOf('acme', 'two'), vaultOf('other', 'one')]) {
      assert.deepEqual(await listSecrets(other), [])
      await other.store.put(secretKey('harbor'), await vault.store.get(secretKey('harbor')))
      assert.equal((await getSecret(other, 'harbor')).state, 'damaged')
      await assert.rejects(openSecret(other, 'harbor'), UnsealError)
    }
    await vault.store.put(secretKey('renamed'), await vault.store.get(secretKey('harbor')))
    await assert.rejects(openSecret(vault, 'renamed'), UnsealError)
  })

  it('are told as damaged when the record was changed, and never opened', async () => {
    const vault = vaultOf('acme', 'damaged')
    const changes: Record<string, (record: string) => string> = {
      kind: (record) => record.replace('"kind":"registry"', '"kind":"opaque"'),
      registry: (record) => record.replace('harbor.example.com', 'evil.example.com'),
      version: (record) =>
        record.replace(/"version":"(.)/, (_, digit) => `"version":"${digit === '0' ? '1' : '0'}`),
      box: (record) => record.replace(/"box":"(.)/, (_, letter) => `"box":"${letter === 'A' ? 'B' : 'A'}`),
    }
    for (const [name, change] of Object.entries(changes)) {
      await putSecret(vault, name, registry, new Date())
      await alter(vault, name, change)
      assert.equal((await getSecret(vault, name)).state, 'damaged', name)
      await assert.rejects(openSecret(vault, name), UnsealError)
    }
    await alter(vault, 'box', () => 'no record')
    await assert.rejects(getSecret(vault, 'box'), withCode('secret-damaged'))
    await putSecret(vault, 'box', registry, new Date())
    assert.equal((await getSecret(vault, 'box')).state, 'usable')
  })

  it('are refused without a key, and told of all the same', async () => {
    const vault = vaultOf('acme', 'keyless')
    await putSecret(vault, 'harbor', registry, new Date())
    const keyless = { ...vault, keyring: undefined }
    await assert.rejects(putSecret(keyless, 'x', registry, new Date()), withCode('secrets-unavailable'))
    await assert.rejects(openSecret(keyless, 'harbor'), withCode('secrets-unavailable'))
    assert.equal((await getSecret(keyless, 'harbor')).state, 'unknown-key')
    const other = { ...vault, keyring: new Keyring([keys[1]]) }
    assert.equal((await getSecret(other, 'harbor')).state, 'unknown-key')
    await assert.rejects(openSecret(other, 'harbor'), UnsealError)
  })

  it('are sealed anew with the newest key, those of all projects', async () => {
    const [older, newer] = keys
    for (const { key } of await Array.fromAsync(store.list('projects/'))) await store.remove(key)
    const vaults = [vaultOf('acme', 'a'), vaultOf('acme', 'b'), vaultOf('other', 'a')]
    for (const vault of vaults) await putSecret(vault, 'harbor', registry, new Date())
    const damaged = vaults[0]
    assert.ok(damaged !== undefined)
    await putSecret(damaged, 'damaged', registry, new Date())
    await alter(damaged, 'damaged', (record) => record.replace('"name":"damaged"', '"name":"x"'))
    await store.put('projects/acme/a/builds/secrets/x.json', Buffer.from('not a secret'))
    const failed = [{ key: 'projects/acme/a/secrets/damaged.json', reason: 'damaged' }]
    assert.deepEqual(await resealAll(store, new Keyring([newer, older])), { resealed: 3, current: 0, failed })
    assert.deepEqual(await resealAll(store, new Keyring([newer, older])), { resealed: 0, current: 3, failed })
    for (const vault of vaults) {
      const opened = await openSecret({ ...vault, keyring: new Keyring([newer]) }, 'harbor')
      assert.deepEqual(opened?.value, registry)
    }
  })
})
