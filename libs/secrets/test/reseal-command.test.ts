import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { Keyring } from '@edgesmith/secrets/keyring'
import { openSecret, putSecret } from '@edgesmith/secrets/secret-store'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { ProjectStores } from '@edgesmith/store/project-stores'

const command = join(import.meta.dirname, '../../../deploy/reseal.ts')

describe('npm run reseal', () => {
  it('seals with the newest key, and fails where a key is missing', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-reseal-'))
    try {
      const project = { tenant: 'acme', project: 'stores' }
      const store = new ProjectStores(await openDirectoryStore(directory)).of(project)
      const [older, newer, lost] = [randomBytes(32), randomBytes(32), randomBytes(32)]
      const value = { kind: 'opaque', value: 'a secret value' } as const
      const put = (key: Buffer, name: string) =>
        putSecret({ project, store, keyring: new Keyring([key]) }, name, value, new Date())
      const run = () =>
        promisify(execFile)(process.execPath, [command], {
          env: {
            OBJECT_STORE: 'directory',
            OBJECT_DIRECTORY: directory,
            SECRETS_KEYS: [newer, older].map((key) => key.toString('base64')).join(','),
          },
        })
      await put(older, 'one')
      assert.match((await run()).stdout, /^1 sealed anew .* 0 were already/)
      assert.deepEqual(
        (await openSecret({ project, store, keyring: new Keyring([newer]) }, 'one'))?.value,
        value,
      )
      await put(lost, 'two')
      await assert.rejects(run(), (error: Error & { code?: number; stderr?: string }) => {
        assert.equal(error.code, 1)
        assert.match(error.stderr ?? '', /secrets\/two\.json: unknown-key/)
        return true
      })
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})
