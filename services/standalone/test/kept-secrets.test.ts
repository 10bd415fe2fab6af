import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { keptSecrets, SecretsFileError } from '../src/kept-secrets.ts'

describe('keptSecrets', () => {
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-secrets-'))
  })
  after(() => rm(directory, { recursive: true }))

  it('makes secrets once and keeps them in a file for this user alone', async () => {
    const file = join(directory, 'made', 'secrets.json')
    const first = await keptSecrets(file, ['one', 'two'])
    assert.match(first.one, /^[0-9a-f]{64}$/)
    assert.notEqual(first.one, first.two)
    assert.deepEqual(await keptSecrets(file, ['one', 'two']), first)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(join(directory, 'made')), ['secrets.json'])
  })

  it('gives all who start at once the same secrets', async () => {
    const file = join(directory, 'at-once.json')
    const all = await Promise.all(Array.from({ length: 20 }, () => keptSecrets(file, ['key'])))
    assert.equal(new Set(all.map(({ key }) => key)).size, 1)
  })

  it('refuses a file without the secret', async () => {
    const file = join(directory, 'other.json')
    await writeFile(file, '{"other":"x"}')
    await assert.rejects(keptSecrets(file, ['key']), SecretsFileError)
  })
})
