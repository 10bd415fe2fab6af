import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Keyring, UnsealError } from '@edgesmith/secrets/keyring'
import { openKeyring, toSecretsConfig } from '@edgesmith/secrets/keys'
import { ConfigurationError } from '@edgesmith/service/environment'

const purpose = ['secret', 'acme', 'stores', 'name', 'version']

function withReason(reason: UnsealError['reason']): (error: unknown) => boolean {
  return (error) => error instanceof UnsealError && error.reason === reason
}

describe('A keyring', () => {
  const older = randomBytes(32)
  const newer = randomBytes(32)

  it('unseals what it sealed, and nothing of the text is in what it makes', () => {
    const keyring = new Keyring([newer])
    const sealed = keyring.seal('a canary', purpose)
    assert.equal(keyring.unseal(sealed, purpose), 'a canary')
    const bytes = Buffer.concat([sealed.box, sealed.wrappedKey].map((box) => Buffer.from(box, 'base64')))
    assert.ok(!bytes.includes('canary'))
  })

  it('makes something else of the same text each time', () => {
    const keyring = new Keyring([newer])
    const boxes = Array.from({ length: 100 }, () => keyring.seal('the same', purpose))
    assert.equal(new Set(boxes.flatMap(({ box, wrappedKey }) => [box, wrappedKey])).size, 200)
  })

  it('unseals for the same purpose alone', () => {
    const keyring = new Keyring([newer])
    const sealed = keyring.seal('text', purpose)
    for (let index = 0; index < purpose.length; index += 1) {
      const other = purpose.map((word, at) => (at === index ? `${word}x` : word))
      assert.throws(() => keyring.unseal(sealed, other), withReason('damaged'))
    }
    // Words are not run together.
    assert.throws(() => keyring.unseal(sealed, ['secretacme', ...purpose.slice(2)]), withReason('damaged'))
  })

  it('finds every bit that was changed', () => {
    const keyring = new Keyring([newer])
    const sealed = keyring.seal('text', purpose)
    for (const part of ['box', 'wrappedKey'] as const) {
      const bytes = Buffer.from(sealed[part], 'base64')
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const changed = Buffer.from(bytes)
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        assert.throws(
          () => keyring.unseal({ ...sealed, [part]: changed.toString('base64') }, purpose),
          withReason('damaged'),
        )
      }
      for (const length of [0, 1, bytes.length - 1]) {
        const cut = { ...sealed, [part]: bytes.subarray(0, length).toString('base64') }
        assert.throws(() => keyring.unseal(cut, purpose), withReason('damaged'))
      }
    }
  })

  it('unseals with older keys, seals with the newest, and seals anew without the text', () => {
    const before = new Keyring([older]).seal('text', purpose)
    const rotated = new Keyring([newer, older])
    assert.equal(rotated.unseal(before, purpose), 'text')
    assert.equal(rotated.seal('text', purpose).keyId, rotated.newestId)
    const after = rotated.reseal(before, purpose)
    assert.equal(after.box, before.box)
    assert.equal(new Keyring([newer]).unseal(after, purpose), 'text')
    assert.throws(() => new Keyring([newer]).unseal(before, purpose), withReason('unknown-key'))
    assert.throws(() => new Keyring([newer]).reseal(before, purpose), withReason('unknown-key'))
    assert.throws(
      () =>
        rotated.reseal({ ...before, keyId: rotated.newestId }, ['x']).wrappedKey === '' ||
        rotated.unseal({ ...before, keyId: rotated.newestId }, purpose),
      withReason('damaged'),
    )
  })

  it('digests a text differently for another key and another purpose', () => {
    const digest = new Keyring([newer]).digest('text', purpose)
    assert.match(digest, /^[0-9a-f]{64}$/)
    assert.equal(new Keyring([newer, older]).digest('text', purpose), digest)
    assert.notEqual(new Keyring([older]).digest('text', purpose), digest)
    assert.notEqual(new Keyring([newer]).digest('text', ['other']), digest)
  })
})

describe('The keys', () => {
  it('come from the environment and from a file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-keys-'))
    try {
      const file = join(directory, 'key')
      const [own, first, second] = [randomBytes(32), randomBytes(32), randomBytes(32)]
      await writeFile(file, `${first.toString('base64')}\n${second.toString('base64')}\n`)
      const all = await openKeyring({ keys: [own.toString('base64')], keyFile: file })
      assert.equal(all?.newestId, new Keyring([own]).newestId)
      assert.equal((await openKeyring({ keys: [], keyFile: file }))?.newestId, new Keyring([first]).newestId)
      for (const key of [own, first, second])
        assert.equal(all.unseal(new Keyring([key]).seal('text', purpose), purpose), 'text')
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it('may be absent, and are refused when they are none', async () => {
    assert.equal(await openKeyring({ keys: [], keyFile: undefined }), undefined)
    await assert.rejects(openKeyring({ keys: [], keyFile: '/nowhere' }), ConfigurationError)
    await assert.rejects(openKeyring({ keys: [], keyFile: import.meta.filename }), ConfigurationError)
    for (const key of ['short', randomBytes(31).toString('base64'), randomBytes(32).toString('hex')]) {
      const faults: string[] = []
      toSecretsConfig({ SECRETS_KEYS: [key], SECRETS_KEY_FILE: undefined, faults: [] }, faults)
      assert.equal(faults.length, 1, key)
      assert.ok(!faults.join('').includes(key))
    }
  })
})
