import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { labelFilter } from '@edgesmith/engine/labels'
import { startBuilder } from '../src/service.ts'
import { Harness } from './harness.ts'
import { makeTrialRepository } from './trial-repository.ts'

/** One that every Docker has besides its default; a name such as `crun` or `runsc` tries that one. */
const runtime = process.env['EDGESMITH_TEST_RUNTIME'] ?? 'io.containerd.runc.v2'

describe('The OCI runtime of builds', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  before(async () => {
    const repository = stack.use(await makeTrialRepository())
    harness = stack.use(
      await Harness.open({
        CANVOS_REPOSITORY: repository.path,
        CLIENT_RUNTIME: runtime,
        DAEMON_RUNTIME: runtime,
      }),
    )
  })
  after(() => stack.disposeAsync())

  it('is the one that is set, for client and daemon', async () => {
    await using _builder = await startBuilder(harness.config)
    const id = await harness.submit({ arguments: { BEHAVIOUR: 'hang' } })
    await harness.until(id, (event) => event.type === 'log' && event.line.endsWith('| hanging'))
    const [client] = await harness.docker.listContainers({ filters: labelFilter({ buildId: id }) })
    const containers = [harness.docker.getContainer(client?.Id ?? ''), await harness.daemon()]
    for (const container of containers) {
      assert.equal((await container.inspect()).HostConfig.Runtime, runtime)
    }
    await harness.cancel(id)
    assert.equal((await harness.ended(id)).state, 'canceled')
  })

  it('has to be one that Docker has', async () => {
    const { config } = harness
    for (const [faulty, name] of [
      [{ ...config, client: { ...config.client, runtime: 'absent' } }, 'CLIENT_RUNTIME'],
      [{ ...config, engine: { ...config.engine, runtime: 'absent' } }, 'DAEMON_RUNTIME'],
    ] as const) {
      await assert.rejects(startBuilder(faulty), (error: Error) => {
        assert.match(
          error.message,
          new RegExp(`${name} is "absent", which Docker does not have. It has .*runc`),
        )
        return true
      })
    }
    assert.deepEqual(await harness.leftovers(), [])
  })
})
