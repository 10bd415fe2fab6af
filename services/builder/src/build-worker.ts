import { concludeBuild } from '@edgesmith/builds/build-conclusion'
import type { BuildJob } from '@edgesmith/builds/build-queue'
import { cancelBuild, describeFailure, finishBuild, isEnd, type Outcome } from '@edgesmith/builds/build-state'
import { BuildWorker, JobLost, WorkerStopping, type JobResult } from '@edgesmith/builds/build-worker'
import { BuildCanceled, watchCancel } from '@edgesmith/builds/cancellation'
import type { StoredBuild } from '@edgesmith/builds/build-repository'
import type { Build, FailureCode } from '@edgesmith/contract/build'
import { ProblemError } from '@edgesmith/contract/problem'
import { EarthlyOutput } from '@edgesmith/engine/earthly-output'
import { EngineError } from '@edgesmith/engine/engine-error'
import { reap } from '@edgesmith/engine/reaper'
import { isStoreAway } from '@edgesmith/store/store-away'
import { Redactor } from '@edgesmith/redaction/redactor'
import { BuildFault } from './build-fault.ts'
import { inProject, sharesOf, type BuilderContext, type ProjectContext } from './context.ts'
import { LogWriter } from './log-writer.ts'
import { removeArtifacts, type Output } from './publish.ts'
import { BaseGone, makeBuild } from './make-build.ts'
import { depart, type Plan } from './plan-build.ts'
import { SecretsChanged, withRegistries } from './secrets-of-build.ts'

/** How often builds whose job was lost are looked for, in milliseconds. */
const reconcileIntervalMs = 60_000

/** Begins to run queued builds, so many at a time; stop the answer to hand unfinished ones on. */
export function startBuildWorker(context: BuilderContext, concurrency: number): BuildWorker {
  const { config, logger, redis, repository } = context
  return new BuildWorker({
    redis,
    repository,
    concurrency,
    lockDurationMs: config.lockSeconds * 1000,
    maxLostWorkers: config.lostLimit,
    reconcileIntervalMs,
    shareOf: sharesOf(context),
    run: (job, signal) => runJob(context, job, signal),
    fail: (job, code, error) => failJob(context, job, code, error),
    onError: (error) => {
      logger.error({ err: error }, 'The worker has trouble.')
    },
  })
}

class TimedOut extends Error {}

/**
 * Runs a build, unless the object store is away, or Redis: the build then waits, for nothing is wrong with it.
 */
async function runJob(context: BuilderContext, job: BuildJob, stop: AbortSignal): Promise<JobResult> {
  try {
    return await planAndRun(context, job, stop)
  } catch (error) {
    if (!isAway(error)) throw error
    context.logger.warn({ err: error, buildId: job.buildId }, 'The build waits until all can be reached.')
    return stop.reason instanceof WorkerStopping ? 'hand-on' : 'later'
  }
}

function isAway(error: unknown): boolean {
  return isStoreAway(error) || (error instanceof ProblemError && error.code === 'upstream-unavailable')
}

async function planAndRun(
  builder: BuilderContext,
  { buildId, attempt }: BuildJob,
  stop: AbortSignal,
): Promise<JobResult> {
  const queued = await builder.repository.find(buildId)
  if (queued?.attempt !== attempt || isEnd(queued.state)) return 'done'
  const context = await withRegistries(inProject(builder, queued), queued)
  // The build stays as it is while another one makes what it needs.
  await using departure = await depart(context, queued)
  if (departure === undefined) return 'later'
  return await runPlanned(context, { buildId, attempt }, departure.plan, stop)
}

async function runPlanned(
  context: ProjectContext,
  { buildId, attempt }: BuildJob,
  plan: Plan,
  stop: AbortSignal,
): Promise<JobResult> {
  const { repository, events, logger, redis, redactors, notifications, config } = context
  const claimed = await unlessConflict(repository.claim(buildId, attempt, new Date()))
  if (claimed === undefined) return 'done'
  const { build, run } = claimed
  const timeoutSeconds = build.spec.timeoutSeconds ?? config.timeoutSeconds
  const ending = new AbortController()
  const timer = setTimeout(() => {
    ending.abort(new TimedOut())
  }, timeoutSeconds * 1000)
  const redactor = new Redactor()
  using _redacting = redactors.use(redactor)
  const output = new EarthlyOutput(redactor)
  const log = new LogWriter({ repository, events, buildId, run, redactor })
  const job = { ...claimed, output, log, redactor, timeoutSeconds }
  try {
    await using _watch = await watchCancel({
      redis,
      notifications,
      id: buildId,
      attempt,
      controller: ending,
      onError: (error) => {
        logger.error({ err: error, buildId }, 'Cancelling is not watched any more.')
      },
    })
    const signal = AbortSignal.any([stop, ending.signal])
    const made = await makeBuild(context, { build, log, output, redactor, timeoutSeconds, signal }, plan)
    await log.flush()
    await succeed(context, job, made)
    return 'done'
  } catch (error) {
    if (error instanceof WorkerStopping) {
      await unlessConflict(log.flush())
      return 'hand-on'
    }
    if (error instanceof BaseGone || error instanceof SecretsChanged) {
      await unlessConflict(log.say(`${error.message} The build is planned anew.`))
      await unlessConflict(log.flush())
      return 'later'
    }
    if (error instanceof JobLost || isConflict(error)) {
      logger.warn({ err: error, buildId }, 'The build is no longer ours.')
      return 'done'
    }
    await end(context, job, error)
    return 'done'
  } finally {
    clearTimeout(timer)
  }
}

type Job = StoredBuild & {
  readonly output: EarthlyOutput
  readonly log: LogWriter
  readonly redactor: Redactor
  readonly timeoutSeconds: number
}

async function succeed(context: ProjectContext, { build, run }: Job, made: Output): Promise<void> {
  const at = new Date()
  try {
    await concludeBuild(
      context,
      build.id,
      (current) => finishBuild(current, { state: 'succeeded', ...made }, at),
      at,
      { run },
    )
    context.logger.info(
      { buildId: build.id, artifacts: made.artifacts.map(({ name }) => name) },
      'The build succeeded.',
    )
  } catch (error) {
    await removeArtifacts(context.store, made.artifacts)
    throw error
  }
}

/** Ends a build that did not succeed in the state that fits. @throws what is not the build's fault */
async function end(context: BuilderContext, job: Job, error: unknown): Promise<void> {
  const { build, run, log } = job
  const at = new Date()
  const finish = toEnd(job, error, at)
  if (finish === undefined) throw error
  await log.flush()
  context.logger.info({ err: error, buildId: build.id }, 'The build did not succeed.')
  await unlessConflict(concludeBuild(context, build.id, finish, at, { run }))
}

/** The change of the record that an error means; undefined for one that says nothing of the build. */
function toEnd(
  { output, redactor, timeoutSeconds }: Job,
  error: unknown,
  at: Date,
): ((build: Build) => Build) | undefined {
  const lastLines = output.tail
  const finished = (outcome: Outcome) => (build: Build) => finishBuild(build, outcome, at)
  const describe = (code: FailureCode, detail: string, context: Partial<BuildFault['context']> = {}) =>
    describeFailure(code, redactor.redact(detail), { ...redactor.redactAll(context), lastLines })
  if (error instanceof BuildCanceled) return (build) => cancelBuild(build, at, lastLines)
  if (error instanceof TimedOut) {
    const detail = `The build did not end within its time limit of ${timeoutSeconds} seconds.`
    return finished({ state: 'timed-out', failure: describe('timed-out', detail) })
  }
  if (error instanceof BuildFault) {
    return finished({
      state: 'failed',
      failure: describe(error.code, error.message, error.context),
    })
  }
  if (error instanceof EngineError) {
    return finished({
      state: 'failed',
      failure: describe('engine-unavailable', error.message),
    })
  }
  return undefined
}

async function failJob(
  context: BuilderContext,
  { buildId, attempt }: BuildJob,
  code: FailureCode,
  error: Error,
): Promise<void> {
  const at = new Date()
  context.logger.error({ err: error, buildId }, 'The job of a build failed.')
  await reap(context.docker, { buildId })
  const detail =
    code === 'worker-lost'
      ? 'The builder was lost each time it ran the build. Retry it, and look at the logs of the builder.'
      : 'The builder failed unexpectedly. Retry the build, and look at the logs of the builder.'
  const finish = (build: Build) => {
    if (build.attempt !== attempt || isEnd(build.state))
      throw new ProblemError('state-conflict', 'The build has gone on.')
    return finishBuild(build, { state: 'failed', failure: describeFailure(code, detail) }, at)
  }
  await unlessConflict(concludeBuild(context, buildId, finish, at))
}

function isConflict(error: unknown): boolean {
  return (
    error instanceof ProblemError && (error.code === 'state-conflict' || error.code === 'build-not-found')
  )
}

/** Undefined when somebody else has the build, ended it, or deleted it. */
async function unlessConflict<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation
  } catch (error) {
    if (!isConflict(error)) throw error
    return undefined
  }
}
