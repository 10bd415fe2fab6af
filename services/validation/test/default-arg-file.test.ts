import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import type { BuildSpec } from '@edgesmith/contract/build-spec'
import type { ValidationResult } from '@edgesmith/contract/validation'
import { ConfigurationError } from '@edgesmith/service/environment'
import type { CalledService } from '@edgesmith/service/lifecycle'
import { askValidation } from '../../../test/support/as-gateway.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import { readEnv, toConfig } from '../src/config.ts'
import { startValidation } from '../src/service.ts'

const makeRepository = join(import.meta.dirname, '../../../deploy/fixture/make-repository.sh')
const base = { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' }

describe('the default .arg file', () => {
  let directory: string
  let repository: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-validation-'))
    repository = join(directory, 'canvos.git')
    await promisify(execFile)(makeRepository, [repository])
  })
  after(() => rm(directory, { recursive: true }))

  async function start(argFile: string, variables: NodeJS.ProcessEnv = {}) {
    const file = join(directory, 'default.arg')
    await writeFile(file, argFile)
    return startValidation(
      toConfig(
        readEnv({
          LOG_LEVEL: 'silent',
          VALIDATION_PORT: '0',
          VALIDATION_INTERNAL_PORT: '0',
          SERVICE_TLS_DIRECTORY: tlsDirectoryOf('validation'),
          OBJECT_STORE: 'directory',
          OBJECT_DIRECTORY: join(directory, 'objects'),
          CANVOS_REPOSITORY: repository,
          CANVOS_MIRROR_DIRECTORY: join(directory, 'mirror.git'),
          DEFAULT_ARG_FILE: file,
          ...variables,
        }),
      ),
    )
  }

  function validate(service: CalledService, spec: BuildSpec): Promise<ValidationResult> {
    return askValidation(service).validate({ project: ownProject, spec, inputs: [] })
  }

  it('gives its arguments to builds that do not set them', async () => {
    await using service = await start('SPECTRO_PUB_REPO=mirror.example.com/palette\n')
    const result = await validate(service, { arguments: base })
    assert.equal(result.valid, true, JSON.stringify(result.diagnostics))
    assert.deepEqual(result.arguments, { ...base, SPECTRO_PUB_REPO: 'mirror.example.com/palette' })
    const own = await validate(service, { arguments: { ...base, SPECTRO_PUB_REPO: 'other.example.com' } })
    assert.equal(own.arguments['SPECTRO_PUB_REPO'], 'other.example.com')
  })

  it('may lead to images that users may not', async () => {
    await using service = await start('SPECTRO_PUB_REPO=mirror.example.com/palette\n', {
      ALLOWED_IMAGES: 'quay.io/kairos',
    })
    const judged = async (own: Record<string, string>) =>
      (await validate(service, { arguments: { ...base, ...own } })).diagnostics.map(({ code }) => code)
    assert.deepEqual(await judged({}), [])
    assert.deepEqual(await judged({ BASE_IMAGE: 'quay.io/kairos/ubuntu:22.04' }), [])
    assert.deepEqual(await judged({ BASE_IMAGE: 'evil.example.com/ubuntu' }), ['arguments.image-not-allowed'])
    assert.deepEqual(await judged({ SPECTRO_PUB_REPO: 'evil.example.com' }), ['arguments.image-not-allowed'])
    assert.deepEqual(await judged({ ALPINE_IMG: 'github.com/evil/x+target' }), ['arguments.foreign-target'])
  })

  it('leaves out what a tag does not have', async () => {
    await using service = await start('SPECTRO_PUB_REPO=mirror.example.com\nOF_OTHER_TAGS=x\n')
    const result = await validate(service, { arguments: base })
    assert.deepEqual([result.valid, result.diagnostics], [true, []])
    assert.ok(!('OF_OTHER_TAGS' in result.arguments))
  })

  it('has to be readable, by bash and by Earthly', async () => {
    await assert.rejects(start('A=$(reboot)\n'), (error) => {
      assert.ok(error instanceof ConfigurationError)
      assert.match(error.message, /DEFAULT_ARG_FILE line 1/)
      return true
    })
  })
})
