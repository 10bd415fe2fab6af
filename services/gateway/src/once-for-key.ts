import { createHash } from 'node:crypto'
import { canonicalJson } from '@edgesmith/bases/canonical-json'
import { isRefused } from '@edgesmith/builds/accepted-build'
import { releaseKey, reserveKey, takeKeyOver, useKey, type Reservation } from '@edgesmith/builds/idempotency'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ProjectRef } from '@edgesmith/contract/project'
import type { Wholeness } from '@edgesmith/builds/wholeness'
import type { Redis } from 'ioredis'
import { v7 as uuidV7 } from 'uuid'

/** A request that may be repeated with the same `Idempotency-Key`, and what it makes once. */
export type KeyedRequest<Made> = {
  /** Whose key it is. */
  readonly project: ProjectRef
  readonly scope: 'builds' | 'fleets'
  /** The `Idempotency-Key`; without one the request makes something anew each time. */
  readonly key: string | undefined
  /** What the request says: with the same key it has to be the same. */
  readonly says: unknown
  /** Makes it, under this identifier. */
  readonly make: (id: string, reservation: Reservation | undefined) => Promise<Made>
  /** Finds what the first request made. */
  readonly find: (id: string) => Promise<Made>
  /**
   * Goes on with what the first request has accepted and could not tell to Redis, which went away; undefined when
   * it has accepted nothing.
   */
  readonly resume: (first: Reservation) => Promise<Made | undefined>
  /** Whether anything is accepted under this identifier. */
  readonly isAccepted: (id: string) => Promise<boolean>
}

/**
 * Answers a request once for its key: the first one makes, a repeated one finds, or goes on where the first broke off.
 * @throws ProblemError `idempotency-key-reused` when it was sent with another request,
 * `idempotency-key-in-use` while the first is under way, `upstream-unavailable` while it is not known whether the key
 * was used; what `make`, `find` and `resume` throw
 */
export async function onceForKey<Made>(
  { redis, wholeness }: { readonly redis: Redis; readonly wholeness: Wholeness },
  { project, scope, key, says, make, find, resume, isAccepted }: KeyedRequest<Made>,
): Promise<{ made: Made; replayed: boolean }> {
  const id = uuidV7()
  if (key === undefined) return { made: await make(id, undefined), replayed: false }
  const fingerprint = createHash('sha256').update(canonicalJson(says)).digest('hex')
  const reserved = await reserveKey(redis, { project, scope, key, fingerprint, buildId: id })
  const makeFor = async (reservation: Reservation): Promise<Made> => {
    try {
      // Behind the reservation: a recovery that ends afterwards replaces it by that of the request that used the key.
      await wholeness.assert()
      return await make(id, reservation)
    } catch (error) {
      // What is accepted, or may be, goes on when the request is repeated.
      const isOver = isRefused(error) || !(await isAccepted(id).catch(() => true))
      if (isOver) await releaseKey(redis, reservation)
      throw error
    }
  }
  switch (reserved.outcome) {
    case 'replay':
      return { made: await find(reserved.buildId), replayed: true }
    case 'mismatch':
      throw new ProblemError(
        'idempotency-key-reused',
        'This Idempotency-Key was sent before with another request. Use a new key for a new request.',
      )
    case 'in-progress': {
      const { first, isOverdue } = reserved
      const made = await resume(first)
      if (made !== undefined) {
        await useKey(redis, first)
        return { made, replayed: true }
      }
      const reservation = isOverdue ? await takeKeyOver(redis, first, id) : undefined
      if (reservation === undefined) throw inUse()
      return { made: await makeFor(reservation), replayed: false }
    }
    case 'new':
      return { made: await makeFor(reserved.reservation), replayed: false }
  }
}

function inUse(): ProblemError {
  return new ProblemError(
    'idempotency-key-in-use',
    'The first request with this Idempotency-Key is still under way. Repeat the request shortly.',
    { headers: { 'retry-after': '1' } },
  )
}
