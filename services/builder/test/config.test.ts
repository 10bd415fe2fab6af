import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConfigurationError } from '@edgesmith/service/environment'
import { readEnv, toConfig } from '../src/config.ts'

const least = { ENGINE_IMAGE: 'engine:1', OBJECT_STORE: 'directory', OBJECT_DIRECTORY: '/objects' }

function faultsOf(environment: NodeJS.ProcessEnv): readonly string[] {
  try {
    toConfig(readEnv(environment))
  } catch (error) {
    assert.ok(error instanceof ConfigurationError)
    return error.faults
  }
  return []
}

describe("The builder's configuration", () => {
  it('needs an engine image and a place for objects', () => {
    const config = toConfig(readEnv(least), 'worker-1')
    assert.equal(config.workerId, 'worker-1')
    assert.equal(config.engine.daemonImage, 'engine:1')
    assert.equal(config.docker.host, 'unix:///var/run/docker.sock')
  })

  it('takes a daemon image and a name of its own', () => {
    const config = toConfig(readEnv({ ...least, ENGINE_DAEMON_IMAGE: 'daemon:1', BUILDER_ID: 'two' }), 'one')
    assert.equal(config.workerId, 'two')
    assert.equal(config.engine.image, 'engine:1')
    assert.equal(config.engine.daemonImage, 'daemon:1')
  })

  it('tells every fault', () => {
    assert.deepEqual(
      faultsOf({ BUILDER_CONCURRENCY: '0', CLIENT_PIDS: 'many' }).map((fault) => fault.split(' ')[0]),
      ['BUILDER_CONCURRENCY', 'CLIENT_PIDS', 'MINIO_ACCESS_KEY', 'MINIO_SECRET_KEY', 'ENGINE_IMAGE'],
    )
    assert.equal(
      faultsOf({ ...least, BUILDER_ID: 'a b', INSECURE_REGISTRIES: 'a.example.com,"]\n[x' }).length,
      2,
    )
  })
})
