import type { Build } from '@edgesmith/contract/build'
import { projectName, type ProjectRef } from '@edgesmith/contract/project'
import { fleetKey } from './fleet-keys.ts'

const prefix = 'edgesmith'

/** Prefix of BullMQ's keys. */
export const queuePrefix = `${prefix}:queue`

/**
 * Hash of a build's record. Fields: `json` (the record), `revision` (of the record), `state`,
 * `writer` (token of the last write), `run` (which run may write), `lastEventId`, `batch` (token of
 * the last appended batch), `logBytes`, `archiveBefore` (events before this id are only in the
 * archive), `cancel` (the attempt that a client asked to cancel).
 */
export function recordKey(id: string): string {
  return `${prefix}:build:${id}`
}

/** Stream of a build's events. */
export function streamKey(id: string): string {
  return `${prefix}:build:${id}:events`
}

/** Lock of the worker that makes what a key stands for; see `takeFlight`. */
export function flightKey(key: string): string {
  return `${prefix}:flight:${key}`
}

/** Channel on which every change of a build's record, events and cancellation is told. */
export function changesChannel(id: string): string {
  return `${prefix}:build:${id}:changes`
}

/** Hash of a reservation made by an `Idempotency-Key`; `digest` names scope and key. */
export function reservationKey(digest: string): string {
  return `${prefix}:idempotency:${digest}`
}

/** Sorted sets of build ids, all with score 0: UUIDs version 7 sort by time as text. */
export const indexKey = {
  all: `${prefix}:builds`,
  state: (state: string) => `${prefix}:builds:state:${state}`,
} as const

/** The same of the builds of one project, and more: what is listed for its clients. */
export function projectIndexKey(project: ProjectRef) {
  const own = `${prefix}:project:${projectName(project)}:builds`
  return {
    all: own,
    state: (state: string) => `${own}:state:${state}`,
    target: (target: string) => `${own}:target:${target}`,
    label: (label: string) => `${own}:label:${label}`,
    /** Builds that succeeded with an ISO of this identity, see `Build.key`. */
    key: (key: string) => `${own}:key:${key}`,
  } as const
}

/** Every index that a build belongs in. */
export function indexKeysOf(build: Build): string[] {
  const own = projectIndexKey(build)
  return [
    indexKey.all,
    indexKey.state(build.state),
    own.all,
    own.state(build.state),
    own.target(build.target),
    ...(build.key === undefined || build.state !== 'succeeded' ? [] : [own.key(build.key)]),
    ...(build.fleet === undefined
      ? []
      : [fleetKey.builds(build.fleet.id), fleetKey.state(build.fleet.id, build.state)]),
    ...Object.entries(build.labels).map(([key, value]) => own.label(`${key}=${value}`)),
  ]
}
