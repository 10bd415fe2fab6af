import { createHash } from 'node:crypto'
import { projectName, type ProjectRef } from '@edgesmith/contract/project'
import type { Redis } from 'ioredis'
import { Type, type Static } from 'typebox'
import { reservationKey } from './build-keys.ts'
import { defineBuildScripts } from './build-scripts.ts'
import { whileAvailable } from './redis-connection.ts'

/** Seconds a key answers the build it made. */
export const usedReservationSeconds = 24 * 60 * 60

/** Seconds after which the request that reserved a key and made nothing is taken for dead. */
const overdueSeconds = 120

/** The right of one request to make the build of an `Idempotency-Key`; see `BuildRepository.create`. */
export const Reservation = Type.Object({
  /** Of the reservation in Redis. */
  key: Type.String(),
  buildId: Type.String(),
  /** Digest of the request. */
  fingerprint: Type.String(),
})

export type Reservation = Static<typeof Reservation>

export type ReservationOutcome =
  | { outcome: 'new'; reservation: Reservation }
  | { outcome: 'replay'; buildId: string }
  | { outcome: 'mismatch' }
  | { outcome: 'in-progress'; first: Reservation; isOverdue: boolean }

export type ReserveOptions = {
  /** Whose key it is, and what for: the same key of another project or scope is another key. */
  project: ProjectRef
  scope: string
  /** Value of the `Idempotency-Key` header. */
  key: string
  /** Digest of the request: a key means one request only. */
  fingerprint: string
  /** Id that the build will have. */
  buildId: string
}

/**
 * Reserves an `Idempotency-Key` for a request, before it makes its build. `new`: go on, and hand the
 * reservation to `BuildRepository.create`. `replay`: answer that build. `mismatch`: the key was used
 * for a different request. `in-progress`: the first request has not made its build yet. It may have
 * been accepted, but could not be told to Redis; should it have died before, it is overdue after two
 * minutes, and `takeKeyOver` gives its reservation to another.
 */
export async function reserveKey(redis: Redis, options: ReserveOptions): Promise<ReservationOutcome> {
  const { project, scope, fingerprint, buildId } = options
  const key = reservationKey(
    createHash('sha256')
      .update(JSON.stringify([projectName(project), scope, options.key]))
      .digest('hex'),
  )
  const [outcome, reservedId, age = 0] = await whileAvailable(() =>
    defineBuildScripts(redis).reserveIdempotencyKey(key, fingerprint, buildId, usedReservationSeconds),
  )
  switch (outcome) {
    case 'new':
      return { outcome, reservation: { key, buildId, fingerprint } }
    case 'replay':
      return { outcome, buildId: reservedId }
    case 'mismatch':
      return { outcome }
    case 'in-progress': {
      const first = { key, buildId: reservedId, fingerprint }
      return { outcome, first, isOverdue: age >= overdueSeconds }
    }
    default:
      throw new Error(`Redis answered ${outcome} to a reservation.`)
  }
}

/** Reserves a key for `buildId` in place of a request that died. Undefined where that lives, or another did so. */
export async function takeKeyOver(
  redis: Redis,
  { key, buildId: dead, fingerprint }: Reservation,
  buildId: string,
): Promise<Reservation | undefined> {
  const taken = await whileAvailable(() =>
    defineBuildScripts(redis).takeIdempotencyKeyOver(key, dead, buildId, usedReservationSeconds),
  )
  return taken === 1 ? { key, buildId, fingerprint } : undefined
}

/** Lets a key answer the build that it was reserved for, which is made. */
export async function useKey(
  redis: Redis,
  { key, buildId }: Pick<Reservation, 'key' | 'buildId'>,
): Promise<void> {
  await whileAvailable(() =>
    defineBuildScripts(redis).useIdempotencyKey(key, buildId, usedReservationSeconds),
  )
}

/** Gives up a reservation because no build was made, so that the client may use the key again. */
export async function releaseKey(
  redis: Redis,
  { key, buildId }: Pick<Reservation, 'key' | 'buildId'>,
): Promise<void> {
  await whileAvailable(() => defineBuildScripts(redis).releaseIdempotencyKey(key, buildId))
}

/**
 * Brings back a used reservation that this Redis has lost, for as long as it would have been kept. A request that was
 * repeated meanwhile, and has made nothing yet, loses its own.
 */
export async function restoreKey(
  redis: Redis,
  { key, buildId, fingerprint }: Reservation,
  { usedAt, now }: { usedAt: Date; now: Date },
): Promise<void> {
  const seconds = usedReservationSeconds - Math.floor((now.getTime() - usedAt.getTime()) / 1000)
  if (seconds <= 0 || (await whileAvailable(() => redis.hget(key, 'used'))) === '1') return
  const step = redis.multi().hset(key, { buildId, fingerprint, used: '1' }).expire(key, seconds)
  await whileAvailable(() => step.exec())
}
