import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { after, before, describe, it } from 'node:test'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { labelNames } from '@edgesmith/engine/labels'
import { startBuilder } from '../src/service.ts'
import { Harness } from './harness.ts'
import { makeHostileRepository } from './trial-repository.ts'

const run = promisify(execFile)
const metadata = '169.254.169.254'

/** Addresses of this machine, those of Docker's bridges among them. */
function hostAddresses(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((own) => own ?? [])
  return addresses
    .filter(({ address, family, internal }) => family === 'IPv4' && !internal && address !== metadata)
    .map(({ address }) => address)
}

/** Takes all rules away, as if there were no policy. */
const withoutPolicy = `for tables in iptables-nft iptables-legacy; do
  for chain in INPUT FORWARD OUTPUT; do $tables -P $chain ACCEPT; done; $tables -F
done; ebtables-nft -P FORWARD ACCEPT`

describe('A hostile build on the network', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  let listener: Server
  /** Where the host listens, as a container reaches it: `address:port`. */
  let places: string[]
  let connections = 0
  before(async () => {
    const repository = stack.use(await makeHostileRepository())
    harness = stack.use(await Harness.open({ CANVOS_REPOSITORY: repository.path, BUILDER_CONCURRENCY: '2' }))
    listener = createServer((socket) => {
      connections += 1
      socket.destroy()
    }).listen(0, '0.0.0.0')
    stack.defer(() => void listener.close())
    await once(listener, 'listening')
    const { port } = listener.address() as AddressInfo
    await run('ip', ['address', 'replace', `${metadata}/32`, 'dev', 'lo'])
    stack.defer(async () => {
      await run('ip', ['address', 'delete', `${metadata}/32`, 'dev', 'lo'])
    })
    const service = { host: hostAddresses()[0] ?? '', port }
    // The port of a service is listed too, by somebody who should not have done that.
    const network = {
      ...harness.config.network,
      kind: 'open' as const,
      services: [...harness.config.network.services, service],
      listed: [{ kind: 'host' as const, ...service }],
    }
    stack.use(await startBuilder({ ...harness.config, network }))
    // By now the bridges of the worker are there.
    places = [metadata, ...hostAddresses()].map((address) => `${address}:${port}`)
  })
  after(() => stack.disposeAsync())

  /** What a build says of the places. */
  async function probe(aims: readonly string[]): Promise<Record<string, string>> {
    const id = await harness.submit({ arguments: { BEHAVIOUR: 'probe', PLACES: aims.join(',') } })
    await harness.ended(id)
    const found = (await harness.log(id)).flatMap((line) => {
      const [, verdict, place] = /(reached|held off) ([0-9.]+:[0-9]+)$/.exec(line) ?? []
      return verdict === undefined || place === undefined ? [] : [[place, verdict] as const]
    })
    return Object.fromEntries(found)
  }

  /** Runs something in the daemon's container. */
  async function inDaemon(command: string): Promise<void> {
    const exec = await (
      await harness.daemon()
    ).exec({
      Cmd: ['sh', '-ec', command],
      ...{ AttachStdout: true, Tty: true },
    })
    const output = await text(await exec.start({ Tty: true }))
    assert.equal((await exec.inspect()).ExitCode, 0, output)
  }

  it('reaches neither metadata, host, services, clients, daemon nor the steps of others, while the policy holds', async () => {
    const neighbour = await harness.submit({ arguments: { BEHAVIOUR: 'neighbour' } })
    const { line = '' } = (await harness.until(
      neighbour,
      (event) => event.type === 'log' && /\| listening at [0-9.]+:7777$/.test(event.line),
    )) as { line?: string }
    const client = await listenOnClientNetwork()
    const aims = [...places, line.replace(/^.* /, ''), '10.222.0.1:8372', client]

    const held = await probe(aims)
    assert.deepEqual(held, Object.fromEntries(aims.map((place) => [place, 'held off'])))
    assert.equal(connections, 0)

    // Every one of them is there to be reached.
    await inDaemon(withoutPolicy)
    const reached = await probe(aims)
    assert.deepEqual(reached, Object.fromEntries(aims.map((place) => [place, 'reached'])))
    assert.ok(connections >= places.length)
    await inDaemon('/etc/edgesmith/apply-policy')
    assert.deepEqual(await probe(aims), held)

    assert.equal((await harness.repository.get(neighbour)).state, 'running')
    await harness.cancel(neighbour)
    assert.equal((await harness.ended(neighbour)).state, 'canceled')
  })

  it('cannot have the daemon reach there for an image', async () => {
    const before = connections
    for (const place of places) {
      const id = await harness.submit({ arguments: { BEHAVIOUR: 'pull', PLACES: place } })
      const { failure } = await harness.ended(id)
      assert.equal(failure?.type, 'urn:edgesmith:problem:image-unavailable', JSON.stringify(failure))
    }
    assert.equal(connections, before)
  })

  /** Starts a container that listens beside the clients; answers where. */
  async function listenOnClientNetwork(): Promise<string> {
    const script =
      'my $s = IO::Socket::INET->new(Listen => 9, LocalPort => 7777) or die; while (my $c = $s->accept) { close $c }'
    const container = await harness.docker.createContainer({
      Image: harness.config.engine.image,
      Entrypoint: ['perl', '-MIO::Socket::INET', '-e', script],
      Labels: { [labelNames.worker]: harness.config.workerId },
      HostConfig: { NetworkMode: `edgesmith-${harness.config.workerId}-client-network` },
    })
    stack.defer(() => container.remove({ force: true }))
    await container.start()
    const { NetworkSettings: settings } = await container.inspect()
    const address = Object.values(settings.Networks)[0]?.IPAddress ?? ''
    return `${address}:7777`
  }
})
