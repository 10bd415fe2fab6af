import { randomUUID } from 'node:crypto'
import { whileAvailable } from '@edgesmith/builds/redis-connection'
import { ProblemError } from '@edgesmith/contract/problem'
import { readJson, writeJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { Redis } from 'ioredis'
import { Type } from 'typebox'

const StoreIdentity = Type.Object({ id: Type.String({ format: 'uuid' }) }, { additionalProperties: false })

/** The object by which a Redis and an object store know that they belong together. */
export const identityKey = 'retention/identity.json'
const redisKey = 'edgesmith:retention:identity'

/** What tells in Redis that a recovery has begun since it was empty, and that one was done. */
const recoveryKey = 'edgesmith:retention:recovery'
const done = 'done'

type Pair = { readonly redis: Redis; readonly store: ObjectStore }

/**
 * Makes sure that Redis has the builds that the object store has the files of: with an empty or another Redis
 * every artifact would look like one without a build. With `adopt`, a pair that has not met before is joined.
 * @throws ProblemError `retention-refused`
 */
export async function assertPaired({ redis, store }: Pair, { adopt }: { adopt: boolean }): Promise<void> {
  const inStore = await readJson(store, identityKey, StoreIdentity)
  const inRedis = await whileAvailable(() => redis.get(redisKey))
  if (inStore !== undefined && inStore.id !== inRedis) {
    throw new ProblemError(
      'retention-refused',
      `Redis is not the one that this object store was used with: its builds are not known, and all of their files would be removed. Bring them back with \`npm run recover\`, or restore Redis; or remove the object ${identityKey} to have those files removed.`,
    )
  }
  if (inStore !== undefined || !adopt) return
  const id = inRedis ?? randomUUID()
  if (inRedis === null) await whileAvailable(() => redis.set(redisKey, id))
  await writeJson(store, identityKey, { id })
}

/** Whether Redis has been used with an object store; one that is empty has not. */
export async function hasIdentity(redis: Redis): Promise<boolean> {
  return (await whileAvailable(() => redis.get(redisKey))) !== null
}

/** A recovery begins. One that was done before, and one that is under way, stay what they are. */
export async function beginRecovery(redis: Redis): Promise<void> {
  await whileAvailable(() => redis.set(recoveryKey, 'begun', 'NX'))
}

/**
 * A recovery is done: Redis has all that could be understood.
 * @throws Error when Redis has lost everything once more since it began
 */
export async function endRecovery(redis: Redis): Promise<void> {
  if ((await whileAvailable(() => redis.set(recoveryKey, done, 'XX'))) !== null) return
  throw new Error('Redis has lost everything once more while it was filled again.')
}

/** Whether Redis has all that could be understood of what the object store has, also where it must not be joined with it. */
export async function isFilled(redis: Redis): Promise<boolean> {
  const [identity, recovery] = await whileAvailable(() => redis.mget(redisKey, recoveryKey))
  return typeof identity === 'string' || recovery === done
}

/** Joins Redis with the object store, all of whose builds it has. */
export async function pair({ redis, store }: Pair): Promise<void> {
  const inStore = await readJson(store, identityKey, StoreIdentity)
  const id = inStore?.id ?? (await whileAvailable(() => redis.get(redisKey))) ?? randomUUID()
  if (inStore === undefined) await writeJson(store, identityKey, { id })
  await whileAvailable(() => redis.set(redisKey, id))
}
