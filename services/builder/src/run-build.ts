import { setTimeout as delay } from 'node:timers/promises'
import type { Build, ResolvedImage } from '@edgesmith/contract/build'
import type { BuildTarget } from '@edgesmith/contract/build-spec'
import { earthlyTarget } from '@edgesmith/contract/build-spec'
import type { TakenEntry } from '@edgesmith/engine/archive'
import { clockSkewMs } from '@edgesmith/certificates/authority'
import type { DaemonEndpoint } from '@edgesmith/engine/buildkit-daemon'
import { ClientContainer } from '@edgesmith/engine/client-container'
import { awaitDocker } from '@edgesmith/engine/docker'
import type { EarthlyOutput } from '@edgesmith/engine/earthly-output'
import { runEarthly, type EarthlyExit } from '@edgesmith/engine/earthly-run'
import { EngineError, type EngineErrorCode } from '@edgesmith/engine/engine-error'
import { reap } from '@edgesmith/engine/reaper'
import type { Redactor } from '@edgesmith/redaction/redactor'
import { BuildFault } from './build-fault.ts'
import type { ProjectContext } from './context.ts'
import type { LogWriter } from './log-writer.ts'
import { judgeWorker } from './preflight.ts'
import { outputDirectory } from './publish.ts'
import { PulledImages } from './pulled-images.ts'
import { openSecrets, secretsToMask, type BuildSecrets } from './secrets-of-build.ts'
import { assertIntact, sizeOfInputs, workspaceEntries, type LaidInput } from './workspace.ts'

/**
 * The runs of Earthly for a target. The client has no Docker to load images into: images are pushed,
 * and nothing is put out; the ISO is then taken from the cache.
 */
const runsOf: Record<BuildTarget, readonly (readonly string[])[]> = {
  iso: [[earthlyTarget.iso]],
  'provider-images': [['--no-output', '--push', earthlyTarget['provider-images']]],
  'all-images': [['--no-output', '--push', earthlyTarget['all-images']], [earthlyTarget.iso]],
}

/** Exit codes by which Earthly tells that it never reached its daemon, or lost it (cmd/earthly/app/run.go). */
const daemonExitCodes = [6, 7]

/** What Earthly says, outside of any target, when the connection to its daemon breaks (grpc-go's messages). */
const connectionLost =
  /^Error: .*(error reading from server: EOF|transport is closing|connection reset by peer|connection refused)/

/** What Earthly says when it had no connection to its daemon from the beginning (buildkitd/buildkitd.go). */
const unreachable = /^Error: .*could not connect to buildkit/

/**
 * What Earthly says last, outside of any target, when it was told to stop (cmd/earthly/main.go), and how it ends when
 * it was killed. This service does not ask for the end of a client that it stops itself: whoever else did so had not
 * the build in mind, as Docker that stops.
 */
const canceled = /^Canceled$/
const killedExitCodes = [137, 143]

/** What the C library says of ENOSPC. */
const diskFull = /no space left on device/i

/** How BuildKit says that it cannot have an image. */
const unpulledImage = /resolve image config for (?<image>\S+?): (?:\k<image>: )?(?<reason>.{1,300})/

/** What is worth another try: what was there and is lost, or was lost while it was started. */
const lossCodes: readonly EngineErrorCode[] = [
  'client-lost',
  'daemon-failed',
  'daemon-lost',
  'docker-unavailable',
]

/** How long a build waits after its engine was lost for the first time, then twice as long, in milliseconds. */
const pauseMs = 500
/** How long a build waits for a Docker that was lost, in milliseconds. */
const dockerPatienceMs = 60_000

/** What running a build needs besides the builder itself. */
export type BuildRun = {
  readonly build: Build
  readonly log: LogWriter
  readonly output: EarthlyOutput
  /** Masks what is told of the run; it is told of the secrets before Earthly is. */
  readonly redactor: Redactor
  readonly timeoutSeconds: number
  /** Ends the run; it rejects with the reason. */
  readonly signal: AbortSignal
}

/** What a run of Earthly is for. */
export type EarthlyWork<Made> = {
  /** Laid instead of the user-data. */
  readonly placeholder?: Buffer | undefined
  /** Versions of the secrets that the run was planned with, by the names that the Earthfile has for them. */
  readonly secretVersions?: Readonly<Record<string, string>> | undefined
  /** Takes what Earthly left in the output directory, which is gone afterwards. */
  readonly take: (output: AsyncIterable<TakenEntry>, laid: readonly LaidInput[]) => Promise<Made>
}

/** What a run made, and the images that it started from, as far as their registries told. */
export type EarthlyResult<Made> = { readonly made: Made; readonly images: ResolvedImage[] }

/**
 * Runs a build: workspace, Earthly, output. Its container and volume are gone when this settles.
 * A run that loses its BuildKit daemon begins anew, with what the cache kept, a few times.
 * @throws BuildFault when the build cannot succeed, the reason of the signal, SecretsChanged, EngineError when the
 * engine failed once too often
 */
export async function runBuild<Made>(
  context: ProjectContext,
  run: BuildRun,
  work: EarthlyWork<Made>,
): Promise<EarthlyResult<Made>> {
  const { docker, config, logger, store } = context
  const secrets = await openSecrets(context, run.build, work.secretVersions)
  run.redactor.add(await secretsToMask(store, run.build, secrets))
  for (let lost = 0; ; lost += 1) {
    try {
      return await runOnce(context, run, work, secrets)
    } catch (thrown) {
      // When Docker is lost, removing the container fails as well.
      const error: unknown = thrown instanceof SuppressedError ? thrown.suppressed : thrown
      const again = error instanceof EngineError && lossCodes.includes(error.code)
      if (!again || lost >= config.lostLimit || run.signal.aborted) throw error
      logger.warn({ err: thrown, buildId: run.build.id }, 'The build engine was lost; the build runs again.')
      await run.log.say(`The build engine was lost (${error.message}); the build runs again.`)
    }
    await delay(pauseMs * 2 ** lost, undefined, { signal: run.signal }).catch(() => undefined)
    await awaitDocker(docker, dockerPatienceMs, run.signal)
  }
}

async function runOnce<Made>(
  context: ProjectContext,
  run: BuildRun,
  { placeholder, take }: EarthlyWork<Made>,
  secrets: BuildSecrets,
): Promise<EarthlyResult<Made>> {
  const { docker, daemons, config, mirror, store, digests } = context
  const { build, log, signal } = run
  run.output.restart()
  await reap(docker, { buildId: build.id })
  using lease = await daemons.lease(build.tenant)
  const endpoint = await lease.daemon.ready()
  signal.throwIfAborted()
  await assertFit(context, run, endpoint)
  await using client = await ClientContainer.create({
    docker,
    image: config.engine.image,
    workerId: config.workerId,
    buildId: build.id,
    daemon: endpoint,
    limits: config.client,
    runtime: config.client.runtime,
    user: { uid: config.client.userId, gid: config.client.userId },
    secrets: secrets.client,
    runs: runsOf[build.target],
    lifetimeMs: run.timeoutSeconds * 1000 + clockSkewMs,
  })
  await log.say(`CanvOS ${build.canvos.tag}, ${earthlyTarget[build.target]}`)
  const laid: LaidInput[] = []
  await client.put(
    workspaceEntries(
      { mirror, store, workDirectory: config.workDirectory, workerId: config.workerId },
      { ...build, arguments: secrets.arguments },
      signal,
      laid,
      placeholder,
    ),
    signal,
  )
  assertIntact(laid)
  const images = new PulledImages(digests)
  const exit = await runEarthly(client, {
    signal,
    lost: endpoint.ended,
    onOutput: async (chunk) => {
      await log.write(run.output.push(chunk), run.output.progress)
      images.look(run.output.images)
    },
  })
  await log.write(run.output.end(), run.output.progress)
  if (exit.exitCode !== 0) {
    await endpoint.assertRunning()
    if (run.output.tail.some((line) => unreachable.test(line))) endpoint.giveUp()
    throw faultOf(exit, run.output, build.canvos.tag)
  }
  const { resolved, unknown } = await images.resolve()
  for (const reference of unknown) {
    await log.say(`warning image.unknown: The registry of ${reference} does not tell its digest.`)
  }
  return { made: await take(client.take(outputDirectory), laid), images: resolved }
}

/** @throws BuildFault `insufficient-resources` when the worker cannot run the build */
async function assertFit(
  context: ProjectContext,
  { build, log }: BuildRun,
  endpoint: DaemonEndpoint,
): Promise<void> {
  const { config, store } = context
  const diagnostics = judgeWorker(
    await endpoint.measure(),
    build,
    await sizeOfInputs(store, build),
    config.preflightFreeBytes,
  )
  for (const { severity, code, message } of diagnostics) await log.say(`${severity} ${code}: ${message}`)
  const errors = diagnostics.filter(({ severity }) => severity === 'error')
  if (errors.length === 0) return
  throw new BuildFault('insufficient-resources', errors.map(({ message }) => message).join(' '))
}

/** Why Earthly did not succeed, while its daemon still runs as far as Docker knows. */
function faultOf(
  { exitCode, outOfMemory }: EarthlyExit,
  { failingTarget: named, heldStep: held, tail }: EarthlyOutput,
  tag: string,
): BuildFault | EngineError {
  if (outOfMemory) {
    const detail = "The build's Earthly client needed more memory than it may have (CLIENT_MEMORY_BYTES)."
    return new BuildFault('out-of-memory', detail, { exitCode })
  }
  if (
    daemonExitCodes.includes(exitCode) ||
    tail.slice(-5).some((line) => connectionLost.test(line) && !unpulledImage.test(line))
  ) {
    return new EngineError('daemon-lost', `Earthly lost the BuildKit daemon (exit code ${exitCode}).`)
  }
  if (killedExitCodes.includes(exitCode) || tail.slice(-3).some((line) => canceled.test(line))) {
    return new EngineError('client-lost', `The build's Earthly client was ended (exit code ${exitCode}).`)
  }
  // Some errors name a target of CanvOS by its repository: `github.com/spectrocloud/CanvOS:v4.9.36+iso`.
  const failingTarget = named?.includes(`:${tag}+`) === true ? named.slice(named.lastIndexOf('+')) : named
  const where = { exitCode, ...(failingTarget === undefined ? {} : { failingTarget }) }
  if (held?.code === 'out-of-memory') {
    const detail = `${failingTarget ?? 'A step'} needed more memory than a step may have (STEP_MEMORY_BYTES): ${held.reason}`
    return new BuildFault('out-of-memory', detail, where)
  }
  if (held?.code === 'disk-full' || tail.some((line) => diskFull.test(line))) {
    const reason = held?.code === 'disk-full' ? held.reason : 'the last lines of the log say where.'
    const detail = `The build filled a disk, or took more of it than the worker can spare (BUILDKIT_FREE_BYTES): ${reason}`
    return new BuildFault('disk-full', detail, where)
  }
  if (held?.code === 'refused' && failingTarget !== undefined) {
    return new BuildFault(
      'target-failed',
      `${failingTarget} is not allowed what it asks for: ${held.reason}`,
      where,
    )
  }
  const image = tail.map((line) => unpulledImage.exec(line)?.groups).find((groups) => groups !== undefined)
  if (image !== undefined) {
    const detail = `The image ${image['image'] ?? ''}${failingTarget === undefined ? '' : `, which ${failingTarget} needs,`} cannot be pulled: ${image['reason'] ?? ''}. Check the argument that names it, and the registry.`
    return new BuildFault('image-unavailable', detail, where)
  }
  if (failingTarget !== undefined) {
    const detail = `${failingTarget} failed. The last lines of the log say why.`
    return new BuildFault('target-failed', detail, where)
  }
  const detail = `Earthly ended with exit code ${exitCode}. The last lines of the log say why.`
  return new BuildFault('engine-failed', detail, { exitCode })
}
