import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import type { ValidationResult } from '@edgesmith/contract/validation'
import type { CalledService } from '@edgesmith/service/lifecycle'
import { askValidation } from '../../../test/support/as-gateway.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import { readEnv, toConfig } from '../src/config.ts'
import { startValidation } from '../src/service.ts'

const makeRepository = join(import.meta.dirname, '../../../deploy/fixture/make-repository.sh')

describe('User-data that comes with the question', () => {
  const stack = new AsyncDisposableStack()
  let service: CalledService
  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-validation-'))
    stack.defer(() => rm(directory, { recursive: true }))
    await promisify(execFile)(makeRepository, [join(directory, 'canvos.git')])
    service = stack.use(
      await startValidation(
        toConfig(
          readEnv({
            LOG_LEVEL: 'silent',
            VALIDATION_PORT: '0',
            VALIDATION_INTERNAL_PORT: '0',
            SERVICE_TLS_DIRECTORY: tlsDirectoryOf('validation'),
            OBJECT_STORE: 'directory',
            OBJECT_DIRECTORY: join(directory, 'objects'),
            CANVOS_REPOSITORY: join(directory, 'canvos.git'),
            CANVOS_MIRROR_DIRECTORY: join(directory, 'mirror.git'),
          }),
        ),
      ),
    )
  })
  after(() => stack.disposeAsync())

  function validate(userData: string): Promise<ValidationResult> {
    return askValidation(service).validate({
      project: ownProject,
      spec: { arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' } },
      inputs: [
        {
          ...{ role: 'userData', pointer: '/inputs/userData', objectKey: 'uploads/data/not-stored' },
          ...{ size: userData.length, kind: 'text', contentId: `sha256:${'0'.repeat(64)}` },
        },
      ],
      userData: Buffer.from(userData).toString('base64'),
    })
  }

  it('is judged without being read from the store', async () => {
    const good = await validate('#cloud-config\nstylus:\n  site:\n    name: site # ümlaut\n')
    assert.deepEqual(
      good.diagnostics.filter(({ severity }) => severity === 'error'),
      [],
    )
    const bad = await validate('#cloud-config\nstylus: [\n')
    assert.equal(bad.valid, false)
    assert.equal(bad.diagnostics.find(({ severity }) => severity === 'error')?.source, 'userData')
  })
})
