import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseKey } from '@edgesmith/provenance/keys'
import { openKeyring } from '@edgesmith/secrets/keys'
import { keepProvenanceKey, keepSecretsKey } from '../src/kept-key.ts'

describe('The key of provenance', () => {
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-key-'))
  })
  after(() => rm(directory, { recursive: true }))

  it('is made once, for this user alone, by whoever starts first', async () => {
    const files = await Promise.all(
      Array.from({ length: 8 }, () => keepProvenanceKey(join(directory, 'made'))),
    )
    const [file = ''] = files
    assert.equal(new Set(files).size, 1)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    const pem = await readFile(file, 'utf8')
    assert.notEqual(parseKey(pem).privateKey, undefined)
    await keepProvenanceKey(join(directory, 'made'))
    assert.equal(await readFile(file, 'utf8'), pem)
  })
})

describe('The key of secrets', () => {
  it('is made once, for this user alone, and seals', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-key-'))
    try {
      const files = await Promise.all(Array.from({ length: 8 }, () => keepSecretsKey(directory)))
      const [keyFile = ''] = files
      assert.equal(new Set(files).size, 1)
      assert.equal((await stat(keyFile)).mode & 0o777, 0o600)
      const keyring = await openKeyring({ keys: [], keyFile })
      await keepSecretsKey(directory)
      assert.equal((await openKeyring({ keys: [], keyFile }))?.newestId, keyring?.newestId)
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})
