import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { after, before, describe, it } from 'node:test'
import { text } from 'node:stream/consumers'
import { placeholderUserData } from '@edgesmith/stamp/placeholder'
import type Docker from 'dockerode'
import { takeEntries } from '@edgesmith/engine/archive'
import { labelFilter } from '@edgesmith/engine/labels'
import { startBuilder } from '../src/service.ts'
import { Harness } from './harness.ts'
import { makeTrialRepository } from './trial-repository.ts'

describe('Builds that run at the same time', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  let ids: string[]
  let clients: Docker.ContainerInspectInfo[]
  before(async () => {
    const repository = stack.use(await makeTrialRepository())
    harness = stack.use(await Harness.open({ CANVOS_REPOSITORY: repository.path, BUILDER_CONCURRENCY: '2' }))
    stack.use(await startBuilder(harness.config))
    ids = []
    for (const marker of ['first', 'second']) {
      ids.push(
        await harness.submit({
          arguments: { BEHAVIOUR: 'hang', MARKER: marker },
          inputs: { userData: await harness.upload(`#cloud-config\n# ${marker}\n`) },
        }),
      )
    }
    clients = await Promise.all(
      ids.map(async (id) => {
        await harness.until(id, (event) => event.type === 'log' && event.line.endsWith('| hanging'))
        const [container] = await harness.docker.listContainers({ filters: labelFilter({ buildId: id }) })
        assert.ok(container !== undefined)
        return harness.docker.getContainer(container.Id).inspect()
      }),
    )
  })
  after(() => stack.disposeAsync())

  it('are in containers that may do nothing to Docker or to the machine', () => {
    for (const { HostConfig: host, Config: config, Mounts: mounts } of clients) {
      assert.equal(host.Privileged, false)
      assert.deepEqual(host.CapDrop, ['ALL'])
      assert.equal(host.CapAdd, null)
      assert.deepEqual(host.SecurityOpt, ['no-new-privileges'])
      assert.equal(host.ReadonlyRootfs, true)
      assert.match(config.User, /^10001:/)
      assert.equal(host.Memory, harness.config.client.memoryBytes)
      assert.equal(host.MemorySwap, harness.config.client.memoryBytes)
      assert.equal(host.NanoCpus, harness.config.client.cpus * 1e9)
      assert.equal(host.PidsLimit, harness.config.client.pids)
      assert.deepEqual(host.Binds, null)
      assert.deepEqual(
        mounts.map(({ Type, Destination }) => [Type, Destination]),
        [['volume', '/build']],
      )
      assert.ok(!JSON.stringify(config.Env).includes('KEY'), 'no key in the environment')
    }
  })

  it('have a workspace each, which holds that build alone', async () => {
    const volumes = clients.map(({ Mounts }) => Mounts[0]?.Name)
    const placeholder = String(placeholderUserData(harness.config.userDataReserveBytes))
    assert.equal(new Set(volumes).size, 2)
    for (const [index, marker] of ['first', 'second'].entries()) {
      const container = harness.docker.getContainer(clients[index]?.Id ?? '')
      const files = new Map<string, string>()
      for await (const { path, type, body } of takeEntries(container, '/build/workspace')) {
        if (type === 'file' && !path.includes('/.git/')) files.set(path, await text(body))
      }
      assert.deepEqual([...files.keys()].sort(), [
        'workspace/.arg',
        'workspace/Earthfile',
        'workspace/user-data',
      ])
      assert.equal(files.get('workspace/user-data'), placeholder)
      assert.match(files.get('workspace/.arg') ?? '', new RegExp(`^MARKER=${marker}$`, 'm'))
    }
  })

  it('reach the daemon, and nothing else', async () => {
    const listener = createServer().listen(0, '0.0.0.0')
    await once(listener, 'listening')
    const { port } = listener.address() as AddressInfo
    try {
      for (const { Id: id, NetworkSettings } of clients) {
        assert.equal(Object.keys(NetworkSettings.Networks).length, 1)
        const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
        const hosts = own.filter(({ family, internal }) => family === 'IPv4' && !internal)
        assert.ok(hosts.length > 0)
        const reached = await Promise.all(hosts.map(({ address }) => connects(id, address, port)))
        assert.deepEqual(
          reached,
          hosts.map(() => false),
        )
        assert.equal(await connects(id, 'buildkitd', 8372), true)
      }
    } finally {
      listener.close()
    }
  })

  /** True when a process in a container gets a connection. */
  async function connects(id: string, host: string, port: number): Promise<boolean> {
    const probe = `timeout 2 bash -c '</dev/tcp/${host}/${port}' 2>/dev/null && echo yes || echo no`
    const exec = await harness.docker
      .getContainer(id)
      .exec({ Cmd: ['sh', '-c', probe], AttachStdout: true, Tty: true })
    const answer = (await text(await exec.start({ Tty: true }))).trim()
    assert.match(answer, /^(yes|no)$/)
    return answer === 'yes'
  }

  it('use a daemon with a list of capabilities, on the network of its clients and one of its own', async () => {
    const {
      HostConfig: host,
      Mounts: mounts,
      NetworkSettings: settings,
    } = await (await harness.daemon()).inspect()
    assert.equal(host.Privileged, false)
    assert.deepEqual((host.CapAdd as string[]).map((name) => name.replace('CAP_', '')).sort(), [
      'NET_ADMIN',
      'SYS_ADMIN',
    ])
    assert.deepEqual(
      mounts.map(({ Type }) => Type),
      ['volume'],
    )
    assert.equal(Object.keys(settings.Networks).length, 2)
    assert.deepEqual(host.PortBindings ?? {}, {})
  })

  it('leave nothing behind when they are canceled, nor does the step they ran', async () => {
    for (const id of ids) await harness.cancel(id)
    for (const id of ids) {
      assert.equal((await harness.ended(id)).state, 'canceled')
      assert.deepEqual(await harness.leftovers({ buildId: id }), [])
    }
  })
})
