import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { randomUUID } from 'node:crypto'
import { openDocker } from '@edgesmith/engine/docker'
import { labelFilter, labelsOf } from '@edgesmith/engine/labels'
import { reap, reapStale } from '@edgesmith/engine/reaper'
import type Docker from 'dockerode'
import { fromSetUp } from '../../../test/support/environment.ts'
import { makeCheckout, reapCheckouts } from '../src/checkouts.ts'

const day = 24 * 60 * 60_000

describe('Checkouts', () => {
  let workDirectory: string
  before(async () => {
    workDirectory = await mkdtemp(join(tmpdir(), 'edgesmith-reaping-'))
  })
  after(() => rm(workDirectory, { recursive: true }))

  it('of a dead worker go when it starts again, those of others when they are old', async () => {
    const now = new Date()
    const own = await makeCheckout({ workDirectory, workerId: 'one' })
    const other = await makeCheckout({ workDirectory, workerId: 'one-two' })
    const old = await makeCheckout({ workDirectory, workerId: 'three' })
    await utimes(old.directory, now, new Date(now.getTime() - 2 * day))
    await mkdir(join(workDirectory, 'something else'))
    const reaped = await reapCheckouts({ workDirectory, workerId: 'one' }, now)
    assert.deepEqual(reaped.sort(), [own.directory, old.directory].sort())
    assert.deepEqual(
      (await readdir(workDirectory)).sort(),
      [other.directory.slice(workDirectory.length + 1), 'something else'].sort(),
    )
    await other[Symbol.asyncDispose]()
    assert.deepEqual(await readdir(workDirectory), ['something else'])
  })
})

describe('What workers leave in Docker', () => {
  const workerId = `test-${randomUUID().slice(0, 8)}`
  let docker: Docker
  before(() => {
    docker = openDocker({ host: fromSetUp('DOCKER_HOST') })
  })
  after(() => reap(docker, { workerId }))

  it('is removed after some days when they never come back, but for caches', async () => {
    const buildId = randomUUID()
    const name = `edgesmith-${workerId}`
    await docker.createVolume({ Name: `${name}-w`, Labels: labelsOf({ workerId, buildId }, 'workspace') })
    await docker.createVolume({ Name: `${name}-c`, Labels: labelsOf({ workerId }, 'cache') })
    await docker.createNetwork({ Name: `${name}-n`, Labels: labelsOf({ workerId }, 'client-network') })
    await docker.createContainer({
      name,
      Image: fromSetUp('EDGESMITH_TEST_ENGINE_IMAGE'),
      Labels: labelsOf({ workerId, buildId }, 'client'),
      HostConfig: {
        NetworkMode: `${name}-n`,
        Mounts: [{ Type: 'volume', Source: `${name}-w`, Target: '/w' }],
      },
    })
    const own = (found: { name: string }[]) =>
      found.map((each) => each.name).filter((each) => each.includes(workerId))
    assert.deepEqual(own(await reapStale(docker, new Date())), [])
    const filters = labelFilter({ workerId })
    assert.equal((await docker.listContainers({ all: true, filters })).length, 1)

    const reaped = own(await reapStale(onlyOf(docker, workerId), new Date(Date.now() + 3 * day)))
    assert.deepEqual(reaped, [name, `${name}-n`, `${name}-w`])
    const { Volumes: volumes } = await docker.listVolumes({ filters })
    assert.deepEqual(
      volumes.map((volume) => volume.Name),
      [`${name}-c`],
    )
    await docker.getVolume(`${name}-c`).remove()
  })
})

/** A Docker that lists what one worker made alone, for others build on it meanwhile. */
function onlyOf(docker: Docker, workerId: string): Docker {
  const filters = labelFilter({ workerId })
  const narrowed = Object.create(docker) as Docker
  narrowed.listContainers = () => docker.listContainers({ all: true, filters })
  narrowed.listNetworks = () => docker.listNetworks({ filters })
  narrowed.listVolumes = () => docker.listVolumes({ filters })
  return narrowed
}
