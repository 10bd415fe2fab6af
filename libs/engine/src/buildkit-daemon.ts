import { once } from 'node:events'
import type Docker from 'dockerode'
import { putEntries } from './archive.ts'
import { CertificateAuthority, type KeyPair } from '@edgesmith/certificates/authority'
import {
  cacheDirectory,
  daemonContainer,
  daemonName,
  daemonPort,
  ensureNetwork,
  nameOf,
  type DaemonSettings,
} from './daemon-container.ts'
import { applyPolicyScript, daemonFiles, ruleFiles } from './daemon-files.ts'
import { unlessStatus, viaDocker } from './docker.ts'
import { EngineError } from './engine-error.ts'
import { ensureImage, type EngineImage } from './image.ts'
import { labelsOf } from './labels.ts'
import { NetworkWatch, type NetworkSources } from './network-facts.ts'
import { networkRules, type BuildNetwork, type NetworkRules } from './network-policy.ts'
import { readOutput } from './output-stream.ts'
import { removeContainer } from './removal.ts'
import { measureWorker, type WorkerResources } from './worker-resources.ts'

export type DaemonOptions = DaemonSettings & {
  /** What the daemon and its steps may reach. */
  readonly network: Omit<NetworkSources, 'docker'> & { readonly kind: BuildNetwork }
  /** Told when a daemon was found dead and another is started. */
  readonly onReplaced?: (reason: string) => void
  /** Told when the network policy of a running daemon could not be brought up to date; the old one holds. */
  readonly onStalePolicy?: (error: unknown) => void
}

/** A daemon that runs: where clients find it, and what they need to be let in. */
export type DaemonEndpoint = {
  readonly network: string
  /** `tcp://host:port` within the network. */
  readonly address: string
  readonly authority: string
  /** Issues a client's certificate, valid for a time in milliseconds. */
  issue(name: string, lifetimeMs: number): Promise<KeyPair>
  /** Settles when the daemon has ended. */
  readonly ended: Promise<EngineError>
  /** @throws EngineError `daemon-lost` when the daemon does not run any more */
  assertRunning(): Promise<void>
  /** Clients do not get through to it, though it runs: who asks for a daemon next gets another. */
  giveUp(): void
  /** What its machine has to build with. @throws EngineError when it cannot be asked */
  measure(): Promise<WorkerResources>
}

/** Ends when something listens on the daemon's port: buildkitd listens once its worker is set up. */
const awaitListening = `until grep -qsi ':${daemonPort.toString(16)} .* 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done`

const startTimeoutMs = 120_000
const stopTimeoutSeconds = 10
/** How often names and networks are looked at anew, in milliseconds. */
const policyIntervalMs = 60_000
const day = 24 * 60 * 60_000
const authorityLifetimeMs = 365 * day
const renewBeforeMs = 30 * day

/**
 * The BuildKit daemon of a worker: one container, the only one with capabilities, with a cache that
 * outlives it. Clients reach it over a network that leads nowhere else; it alone has a way out.
 */
export class BuildkitDaemon implements AsyncDisposable {
  readonly #options: DaemonOptions
  readonly #watch: NetworkWatch
  #current: RunningDaemon | undefined
  #starting: Promise<RunningDaemon> | undefined

  /** Nothing is started before the first `ready`. */
  constructor(options: DaemonOptions) {
    this.#options = options
    this.#watch = new NetworkWatch({ docker: options.docker, ...options.network })
  }

  /**
   * The running daemon; starts it where it does not run, or has died.
   * @throws EngineError when it cannot be started
   */
  async ready(): Promise<DaemonEndpoint> {
    const current = this.#current
    const isGood = current !== undefined && !current.hasEnded && !current.isGivenUp
    if (isGood && current.expiresAt - Date.now() > renewBeforeMs) return current.endpoint
    this.#starting ??= this.#replace(current).finally(() => (this.#starting = undefined))
    return (await this.#starting).endpoint
  }

  /** Throws when the daemon does not run, for readiness. */
  async check(): Promise<void> {
    if (this.#current === undefined) {
      throw new EngineError('daemon-failed', 'The BuildKit daemon is not started.')
    }
    await this.#current.endpoint.assertRunning()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#starting])
    const current = this.#current
    this.#current = undefined
    if (current === undefined) return
    clearInterval(current.refreshing)
    await unlessStatus([304, 404], current.container.stop({ t: stopTimeoutSeconds }))
    await removeContainer(current.container)
    await this.#removeNetworks()
  }

  async #removeNetworks(): Promise<void> {
    const { docker } = this.#options
    for (const role of ['client-network', 'egress-network'] as const) {
      await unlessStatus([404], docker.getNetwork(nameOf(this.#options, role)).remove())
    }
  }

  async #replace(old: RunningDaemon | undefined): Promise<RunningDaemon> {
    const { docker, image, workerId, tenant, onReplaced } = this.#options
    try {
      if (old !== undefined) {
        clearInterval(old.refreshing)
        onReplaced?.(await whyReplaced(old))
        await removeContainer(old.container)
      }
      const engine = await ensureImage(docker, image)
      await ensureNetwork(this.#options, 'client-network')
      await ensureNetwork(this.#options, 'egress-network')
      await docker.createVolume({
        Name: nameOf(this.#options, 'cache'),
        Labels: labelsOf({ workerId, tenant }, 'cache'),
      })
      const rules = await this.#rules(engine)
      // Docker may have made one, and been lost before it said so.
      await removeContainer(docker.getContainer(nameOf(this.#options, 'buildkit')))
      this.#current = await startDaemon(this.#options, engine, rules)
      this.#keepPolicy(this.#current, engine, rules)
      return this.#current
    } catch (error) {
      this.#current = undefined
      // Nobody disposes of what has not started. What Docker keeps is reaped at the next start.
      await this.#removeNetworks().catch(() => undefined)
      if (error instanceof EngineError) throw error
      throw new EngineError(
        'docker-unavailable',
        `Docker does not start the BuildKit daemon: ${messageOf(error)}`,
        { cause: error },
      )
    }
  }

  async #rules(engine: EngineImage): Promise<NetworkRules> {
    const { workerId, network } = this.#options
    const facts = await this.#watch.look(workerId, engine.reference, nameOf(this.#options, 'client-network'))
    return networkRules(network.kind, daemonPort, facts)
  }

  /** Brings the rules of a daemon up to date while it runs. */
  #keepPolicy(daemon: RunningDaemon, engine: EngineImage, first: NetworkRules): void {
    let inForce = first
    const refresh = async () => {
      const rules = await this.#rules(engine)
      if (rules.iptables === inForce.iptables || daemon.hasEnded) return
      await applyRules(daemon.container, rules)
      inForce = rules
    }
    daemon.refreshing = setInterval(() => {
      refresh().catch((error: unknown) => {
        if (!daemon.hasEnded) this.#options.onStalePolicy?.(error)
      })
    }, policyIntervalMs).unref()
  }
}

type RunningDaemon = {
  refreshing?: NodeJS.Timeout
  readonly container: Docker.Container
  readonly endpoint: DaemonEndpoint
  readonly expiresAt: number
  hasEnded: boolean
  isGivenUp: boolean
}

async function whyReplaced({ hasEnded, isGivenUp, endpoint }: RunningDaemon): Promise<string> {
  if (hasEnded) return (await endpoint.ended).message
  return isGivenUp ? 'Clients do not get through to it.' : 'Its certificates end soon.'
}

async function startDaemon(
  options: DaemonOptions,
  engine: EngineImage,
  rules: NetworkRules,
): Promise<RunningDaemon> {
  const { docker, workerId } = options
  const authority = await CertificateAuthority.create(`edgesmith ${workerId}`, authorityLifetimeMs)
  const server = await authority.issue({ name: daemonName, usage: 'server', lifetimeMs: authorityLifetimeMs })
  const container = await docker.createContainer(daemonContainer(options, engine))
  try {
    await putEntries(container, '/etc', { uid: 0, gid: 0 }, [
      { type: 'file', path: 'ca.pem', mode: 0o644, body: authority.certificate },
      { type: 'file', path: 'cert.pem', mode: 0o644, body: server.certificate },
      { type: 'file', path: 'key.pem', mode: 0o600, body: server.key },
      ...daemonFiles(options.limits, rules),
    ])
    await docker.getNetwork(nameOf(options, 'egress-network')).connect({ Container: container.id })
    await container.start()
    const running: RunningDaemon = {
      container,
      expiresAt: authority.notAfter.getTime(),
      hasEnded: false,
      isGivenUp: false,
      endpoint: {
        network: nameOf(options, 'client-network'),
        address: `tcp://${daemonName}:${daemonPort}`,
        authority: authority.certificate,
        issue: (name, lifetimeMs) => authority.issue({ name, usage: 'client', lifetimeMs }),
        measure: async () => {
          await running.endpoint.assertRunning()
          return await measureWorker(docker, container, cacheDirectory(engine))
        },
        ended: awaitEnd(container).then((error) => {
          running.hasEnded = true
          return error
        }),
        giveUp: () => {
          running.isGivenUp = true
        },
        assertRunning: async () => {
          const state = (await viaDocker(() => unlessStatus([404], container.inspect())))?.State
          if (state?.Running === true) return
          running.hasEnded = true
          throw new EngineError(
            'daemon-lost',
            `The BuildKit daemon ended with exit code ${state?.ExitCode ?? 'unknown'}.`,
          )
        },
      },
    }
    await awaitHealthy(running)
    return running
  } catch (error) {
    await removeContainer(container)
    throw error
  }
}

/** Puts other rules in force in a daemon that runs. @throws EngineError `daemon-failed` */
async function applyRules(container: Docker.Container, rules: NetworkRules): Promise<void> {
  await putEntries(container, '/etc', { uid: 0, gid: 0 }, ruleFiles(rules))
  const exec = await container.exec({ Cmd: [applyPolicyScript], AttachStdout: true, AttachStderr: true })
  const output: Buffer[] = []
  for await (const piece of readOutput(await exec.start({}))) output.push(piece)
  const { ExitCode: code } = await exec.inspect()
  if (code === 0) return
  throw new EngineError('daemon-failed', `The network policy is refused: ${Buffer.concat(output).toString()}`)
}

async function awaitEnd(container: Docker.Container): Promise<EngineError> {
  try {
    const { StatusCode: code } = (await container.wait({ condition: 'not-running' })) as {
      StatusCode: number
    }
    return new EngineError('daemon-lost', `The BuildKit daemon ended with exit code ${code}.`)
  } catch (error) {
    return new EngineError('daemon-lost', `The BuildKit daemon is out of reach: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

async function awaitHealthy({ container, endpoint }: RunningDaemon): Promise<void> {
  await using stack = new AsyncDisposableStack()
  try {
    const exec = await container.exec({ Cmd: ['/bin/sh', '-c', awaitListening], AttachStdout: true })
    const output = stack.adopt(await exec.start({}), (opened) => void opened.destroy())
    output.resume()
    const listening = once(output, 'close', { signal: AbortSignal.timeout(startTimeoutMs) }).then(
      () => undefined,
    )
    const error = await Promise.race([listening, endpoint.ended])
    if (error !== undefined) throw error
  } catch (error) {
    throw new EngineError(
      'daemon-failed',
      `The BuildKit daemon does not come up: ${messageOf(error)}\n${await lastLog(container)}`,
      { cause: error },
    )
  }
}

async function lastLog(container: Docker.Container): Promise<string> {
  const log = await unlessStatus([404, 409], container.logs({ stdout: true, stderr: true, tail: 20 }))
  return log === undefined ? '' : log.toString('utf8').replaceAll(/[^\P{Cc}\n\t]/gu, '')
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.trim() : String(error)
}
