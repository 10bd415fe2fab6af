import type { Artifact } from '@edgesmith/contract/artifact'
import { failures } from '@edgesmith/contract/build'
import type {
  Build,
  BuildFailure,
  BuildProgress,
  BuildProof,
  BuildState,
  FailureCode,
} from '@edgesmith/contract/build'
import type { StateEvent } from '@edgesmith/contract/event'
import { ProblemError, problemType } from '@edgesmith/contract/problem'
import { v7 as uuidV7 } from 'uuid'

/**
 * The states that may follow each state. A build whose ISO can be had from what is stored succeeds without
 * running. A running build runs again when its worker was lost; an ended one is queued again by a retry,
 * except when it succeeded.
 */
export const transitions = {
  queued: ['running', 'succeeded', 'failed', 'canceled'],
  running: ['running', 'succeeded', 'failed', 'canceled', 'timed-out'],
  succeeded: [],
  failed: ['queued'],
  canceled: ['queued'],
  'timed-out': ['queued'],
} as const satisfies Record<BuildState, readonly BuildState[]>

const ends = ['succeeded', 'failed', 'canceled', 'timed-out'] as const

/** The states in which a build stays unless it is retried. */
export type EndState = (typeof ends)[number]

export function isEnd(state: BuildState): state is EndState {
  return (ends as readonly BuildState[]).includes(state)
}

/** What a new build is made of. */
export type NewBuild = Pick<
  Build,
  | 'tenant'
  | 'project'
  | 'target'
  | 'canvos'
  | 'spec'
  | 'arguments'
  | 'sealedArguments'
  | 'labels'
  | 'diagnostics'
  | 'fleet'
> & {
  /** Identifier reserved beforehand; a new one when left out. */
  id?: string
}

/** The record of a build that nobody has run yet. */
export function createBuild({ id = uuidV7(), ...build }: NewBuild, at: Date): Build {
  return { id, state: 'queued', ...build, attempt: 1, createdAt: at.toISOString(), artifacts: [] }
}

/** A worker begins to run the build, for the first time or again after another worker was lost. */
export function startBuild(build: Build, at: Date): Build {
  assertTransition(build, 'running')
  return { ...withoutOutcome(build), state: 'running', startedAt: at.toISOString() }
}

/** The running build came further. */
export function advanceBuild(build: Build, progress: BuildProgress): Build {
  if (build.state !== 'running') {
    throw new ProblemError(
      'state-conflict',
      `The build is ${build.state}; only a running build makes progress.`,
    )
  }
  return { ...build, progress }
}

/** How an ISO was made, and what of. */
export type Origin = Pick<Build, 'road' | 'key' | 'baseBuildId' | 'images' | 'engine'>

/** How a build can end: with artifacts, or with the reason why there are none. */
export type Outcome =
  | ({ state: 'succeeded'; artifacts: Artifact[]; proof?: BuildProof } & Origin)
  | { state: 'failed' | 'timed-out' | 'canceled'; failure: BuildFailure; artifacts?: Artifact[] }

/** The build ends. */
export function finishBuild(build: Build, outcome: Outcome, at: Date): Build {
  assertTransition(build, outcome.state)
  return { ...build, artifacts: [], ...outcome, endedAt: at.toISOString() }
}

/** The build ends because a client asked for it. */
export function cancelBuild(build: Build, at: Date, lastLines: string[] = []): Build {
  const failure = describeFailure('canceled', 'A client canceled the build.', { lastLines })
  return finishBuild(build, { state: 'canceled', failure }, at)
}

/** The ended build is asked to run once more. */
export function retryBuild(build: Build): Build {
  assertTransition(build, 'queued')
  return { ...withoutOutcome(build), state: 'queued', attempt: build.attempt + 1 }
}

/** Why a build did not succeed, in the shape of a problem. */
export function describeFailure(
  code: FailureCode,
  detail: string,
  context: Partial<Pick<BuildFailure, 'failingTarget' | 'exitCode' | 'lastLines'>> = {},
): BuildFailure {
  return { type: problemType(code), title: failures[code], detail, lastLines: [], ...context }
}

/** The event that tells the state of a build. */
export function stateEvent({ state, attempt, failure }: Build, at: Date): StateEvent {
  return {
    type: 'state',
    at: at.toISOString(),
    state,
    attempt,
    ...(failure === undefined ? {} : { failure }),
  }
}

/** Throws `state-conflict` unless the build may come to the state. */
export function assertTransition(build: Build, next: BuildState): void {
  const allowed: readonly BuildState[] = transitions[build.state]
  if (allowed.includes(next)) return
  throw new ProblemError('state-conflict', `${sentences[next]} ${explain(build.state, allowed)}`)
}

const sentences: Record<BuildState, string> = {
  queued: 'The build cannot be retried:',
  running: 'The build cannot be run:',
  succeeded: 'The build cannot succeed:',
  failed: 'The build cannot fail:',
  canceled: 'The build cannot be canceled:',
  'timed-out': 'The build cannot time out:',
}

function explain(state: BuildState, allowed: readonly BuildState[]): string {
  if (state === 'succeeded') return 'it has succeeded, which is final. Submit a new build instead.'
  if (isEnd(state)) return `it has already ended (${state}); it can only be retried.`
  return `it is ${state}; from there it can come to ${allowed.join(', ')}.`
}

function withoutOutcome(build: Build): Build {
  const {
    id,
    tenant,
    project,
    target,
    canvos,
    spec,
    labels,
    attempt,
    createdAt,
    diagnostics,
    state,
    fleet,
    sealedArguments,
  } = build
  return {
    ...{
      id,
      tenant,
      project,
      state,
      target,
      canvos,
      spec,
      arguments: build.arguments,
      labels,
      attempt,
      createdAt,
    },
    ...(fleet === undefined ? {} : { fleet }),
    ...(sealedArguments === undefined ? {} : { sealedArguments }),
    artifacts: [],
    diagnostics,
  }
}
