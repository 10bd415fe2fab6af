import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { fromSetUp } from '../../../test/support/environment.ts'

const execute = promisify(execFile)
const env = { ...process.env, DOCKER_HOST: fromSetUp('DOCKER_HOST'), TAG: 'test' }

/** What each service cannot do without. */
const required = {
  gateway: ['SERVICE_TLS_DIRECTORY', 'MINIO_ACCESS_KEY', 'MINIO_SECRET_KEY'],
  validation: ['SERVICE_TLS_DIRECTORY', 'MINIO_ACCESS_KEY', 'MINIO_SECRET_KEY'],
  builder: ['ENGINE_IMAGE', 'MINIO_ACCESS_KEY', 'MINIO_SECRET_KEY'],
  artifact: ['SERVICE_TLS_DIRECTORY', 'MINIO_ACCESS_KEY', 'MINIO_SECRET_KEY', 'SIGNING_KEYS'],
}

describe('The images of the services', () => {
  let images: string[]
  before(async () => {
    const { stdout } = await execute(join(import.meta.dirname, '../build.sh'), {
      env,
      maxBuffer: 64 * 1024 * 1024,
    })
    images = stdout.trim().split('\n')
  })

  it('are four, and those of Redis and MinIO', () => {
    assert.deepEqual(
      images,
      [...Object.keys(required), 'redis', 'minio'].map((service) => `edgesmith/${service}:test`),
    )
  })

  for (const [service, program] of [
    ['artifact', ['syft', 'version']],
    ['redis', ['redis-server', '--version']],
    ['minio', ['--version']],
  ] as const) {
    it(`have the program of ${service}`, async () => {
      const flags = ['--rm', '--read-only', '--cap-drop=ALL', '--network=none']
      const { stdout } = await execute('docker', ['run', ...flags, `edgesmith/${service}:test`, ...program], {
        env,
      })
      assert.match(stdout, /syft|Redis server v=7|minio version/)
    })
  }

  it('let the artifact service run syft within its limits', async () => {
    const script = `
      const { runLimited } = await import('/app/libs/sbom/src/limited-process.ts')
      const command = { program: 'syft', options: ['version'], env: { HOME: '/tmp' }, cwd: '/', outputLimit: 10_000 }
      console.log((await runLimited(command)).toString())`
    const flags = ['--rm', '--read-only', '--cap-drop=ALL', '--network=none', '--tmpfs=/tmp']
    const options = [
      '--security-opt=no-new-privileges',
      'edgesmith/artifact:test',
      'node',
      '--input-type=module',
    ]
    const { stdout } = await execute('docker', ['run', ...flags, ...options, '--eval', script], { env })
    assert.match(stdout, /^Application: +syft$/m)
  })

  it('are not built on an image that is named by a tag alone', async () => {
    const failure = await execute(join(import.meta.dirname, '../build.sh'), {
      env: { ...env, BASE: 'node:24-bookworm' },
    }).then(
      () => assert.fail('it was built'),
      (error: unknown) => error as { code: number; stderr: string },
    )
    assert.equal(failure.code, 1)
    assert.match(failure.stderr, /BASE has to name an image by its digest/)
  })

  it('have xorriso where images are composed', async () => {
    const flags = ['--rm', '--read-only', '--cap-drop=ALL', '--network=none']
    const command = ['run', ...flags, 'edgesmith/builder:test', 'xorriso', '--version']
    const { stdout } = await execute('docker', command, { env })
    assert.match(stdout, /^xorriso version {3}: {2}1\.5\./m)
  })

  for (const [service, names] of Object.entries(required)) {
    it(`start the ${service} service, which tells everything that its configuration lacks`, async () => {
      const flags = ['--rm', '--read-only', '--cap-drop=ALL', '--network=none']
      const failure = await execute('docker', ['run', ...flags, `edgesmith/${service}:test`], { env }).then(
        () => assert.fail('it ran without a configuration'),
        (error: unknown) => error as { code: number; stderr: string },
      )
      assert.equal(failure.code, 78, failure.stderr)
      for (const name of names) assert.match(failure.stderr, new RegExp(`^  - ${name} is`, 'm'))
    })
  }
})
