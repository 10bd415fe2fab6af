import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { labelNames } from '@edgesmith/engine/labels'
import { ownProject } from '../../../test/support/projects.ts'
import { startBuilder } from '../src/service.ts'
import { Harness } from './harness.ts'
import { makeHostileRepository } from './trial-repository.ts'

describe('The caches of tenants', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  before(async () => {
    const repository = stack.use(await makeHostileRepository())
    harness = stack.use(
      await Harness.open({
        CANVOS_REPOSITORY: repository.path,
        CACHE_BY_TENANT: 'true',
        CACHE_IDLE_SECONDS: '2',
      }),
    )
  })
  after(() => stack.disposeAsync())

  /** Leaves a mark in a cache mount; answers the marks that were there. */
  async function mark(tenant: string, marker: string): Promise<string[]> {
    const id = await harness.submit({
      project: { ...ownProject, tenant },
      arguments: { BEHAVIOUR: 'cache', MARKER: marker },
    })
    await harness.ended(id)
    const log = await harness.log(id)
    assert.ok(
      log.some((line) => line.includes(`touch "/cache/$MARKER"`)),
      log.join('\n'),
    )
    return log.flatMap((line) => /\| found (\S+)$/.exec(line)?.[1] ?? []).sort()
  }

  /** The tenants that have a daemon, and those that have a cache. */
  async function tenantsIn(): Promise<{ daemons: string[]; caches: string[] }> {
    const { docker, config } = harness
    const filters = { label: [`${labelNames.worker}=${config.workerId}`] }
    const containers = await docker.listContainers({ all: true, filters })
    const { Volumes: volumes } = await docker.listVolumes({ filters })
    const tenants = (labels: readonly Record<string, string>[]) =>
      labels.flatMap((label) => label[labelNames.tenant] ?? []).sort()
    return {
      daemons: tenants(containers.map(({ Labels }) => Labels)),
      caches: tenants(volumes.map(({ Labels }) => Labels)),
    }
  }

  it('are kept apart when that is set, and outlive their daemons', async () => {
    await using _builder = await startBuilder(harness.config)
    assert.deepEqual(await mark('first', 'a'), [])
    assert.deepEqual(await mark('second', 'b'), [])
    for (;;) if ((await tenantsIn()).daemons.length === 0) break
    assert.deepEqual(await tenantsIn(), { daemons: [], caches: ['first', 'second'] })
    assert.deepEqual(await mark('first', 'c'), ['a'])
    assert.deepEqual((await tenantsIn()).daemons, ['first'])
  })

  it('are one otherwise', async () => {
    const config = { ...harness.config, cache: { ...harness.config.cache, byTenant: false } }
    await using _builder = await startBuilder(config)
    assert.deepEqual(await mark('first', 'a'), [])
    assert.deepEqual(await mark('second', 'b'), ['a'])
  })
})
