import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ConfigurationError } from '@edgesmith/service/environment'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { accepts, isUsable, type ApiKeys } from '../src/api-keys.ts'
import { ensureBootstrapKey, readBootstrapKey } from '../src/bootstrap-key.ts'
import { formatKey, newKeyText, type KeyText } from '../src/key-text.ts'
import { startReplicas, type Replicas } from './replicas.ts'

describe('The bootstrap key', () => {
  let directory: string
  let replicas: Replicas
  /** What a process that starts has, and another that goes on. */
  let keys: ApiKeys
  let others: ApiKeys
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-bootstrap-'))
    const store = await openDirectoryStore(path.join(directory, 'objects'))
    replicas = await startReplicas(path.join(directory, 'redis'), store)
    keys = replicas.first.keys
    others = replicas.second.keys
  })
  after(async () => {
    await replicas[Symbol.asyncDispose]()
    await rm(directory, { recursive: true })
  })

  async function letsIn(text: KeyText): Promise<boolean> {
    const found = await others.find(text.id)
    return found !== undefined && isUsable(found) && accepts(found, text)
  }

  it("is the operator's, and the same after each start", async () => {
    const text = newKeyText()
    await ensureBootstrapKey(keys, text)
    const made = await others.find(text.id)
    assert.partialDeepStrictEqual(made, {
      ...{ tenant: 'default', role: 'operator', createdBy: 'configuration', configured: true },
    })
    await ensureBootstrapKey(keys, text)
    assert.deepEqual(await others.find(text.id), made)
    assert.ok(await letsIn(text))
  })

  it('ends when another value takes its place, and lives again when it is set again', async () => {
    const [first, second] = [newKeyText(), newKeyText()]
    const { record, key } = await keys.create({
      ...{ name: 'x', tenant: 'default', role: 'operator', createdBy: `key:${first.id}` },
    })
    await ensureBootstrapKey(keys, first)
    assert.ok(await letsIn(first))
    await ensureBootstrapKey(keys, second)
    assert.deepEqual([await letsIn(first), await letsIn(second)], [false, true])
    await ensureBootstrapKey(keys, first)
    assert.deepEqual([await letsIn(first), await letsIn(second)], [true, false])
    // Another secret by the same identifier takes its place as well.
    const renewed = newKeyText(first.id)
    await ensureBootstrapKey(keys, renewed)
    assert.deepEqual([await letsIn(first), await letsIn(renewed)], [false, true])
    // Those that were made with it are not its own.
    assert.ok(await letsIn({ id: record.id, secret: key.slice(-64) }))
  })

  it('does not take over a key that the API made', async () => {
    const { record } = await keys.create({
      ...{ name: 'x', tenant: 'acme', role: 'viewer', createdBy: 'test' },
    })
    await assert.rejects(ensureBootstrapKey(keys, newKeyText(record.id)), (error) => {
      assert.ok(error instanceof ConfigurationError)
      assert.match(error.message, new RegExp(`identifier ${record.id} of another key`))
      return true
    })
    assert.deepEqual(await others.find(record.id), record)
  })

  it('is read from a setting or a file, and what is none is told without being shown', async () => {
    const text = newKeyText()
    const file = path.join(directory, 'key')
    await writeFile(file, `${formatKey(text)}\n`)
    assert.deepEqual(await readBootstrapKey({ text: undefined, file }), text)
    assert.deepEqual(await readBootstrapKey({ text: formatKey(text), file: undefined }), text)
    assert.equal(await readBootstrapKey({ text: undefined, file: undefined }), undefined)
    await writeFile(file, 'canary')
    for (const given of [
      { text: undefined, file },
      { text: 'canary', file: undefined },
      { text: undefined, file: path.join(directory, 'nothing') },
    ]) {
      await assert.rejects(readBootstrapKey(given), (error) => {
        assert.ok(error instanceof ConfigurationError)
        assert.match(error.message, /BOOTSTRAP_API_KEY/)
        assert.doesNotMatch(error.message, /canary/)
        return true
      })
    }
  })
})
