import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { parseKey } from '@edgesmith/identity/key-text'
import { keptApiKey, tellNewKey } from '../src/kept-api-key.ts'

describe('keptApiKey', () => {
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-api-key-'))
  })
  after(() => rm(directory, { recursive: true }))

  it('makes one key, for this user alone, for all who start at once', async () => {
    const file = join(directory, 'made', 'api-key')
    const all = await Promise.all(Array.from({ length: 20 }, () => keptApiKey(file)))
    const [{ key } = { key: '' }] = all
    assert.ok(parseKey(key))
    assert.equal(new Set(all.map((kept) => kept.key)).size, 1)
    assert.equal(all.filter(({ isNew }) => isNew).length, 1)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.equal((await stat(join(directory, 'made'))).mode & 0o777, 0o700)
    assert.deepEqual(await readdir(join(directory, 'made')), ['api-key'])
    assert.equal(await readFile(file, 'utf8'), `${key}\n`)
    assert.deepEqual(await keptApiKey(file), { key, isNew: false })
  })

  it('is shown at a terminal alone, as logs stay', () => {
    const told = (isTTY: boolean) => {
      let text = ''
      const output = new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          text += chunk.toString()
          done()
        },
      })
      tellNewKey(
        'esk_canary',
        '/data/api-key',
        Object.assign(output, { isTTY }) as unknown as NodeJS.WriteStream,
      )
      return text
    }
    assert.match(told(true), /esk_canary/)
    assert.equal(told(false), 'The API key of this installation is kept in /data/api-key.\n')
  })
})
