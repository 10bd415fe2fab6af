import type { ProjectRef } from '@edgesmith/contract/project'
import type { Redis } from 'ioredis'
import { indexKey, projectIndexKey } from './build-keys.ts'
import { whileAvailable } from './redis-connection.ts'

/** How many builds of projects are queued, those of fleets among them; of all projects when none are named. */
export async function countQueued(redis: Redis, projects?: readonly ProjectRef[]): Promise<number> {
  const keys =
    projects === undefined
      ? [indexKey.state('queued')]
      : projects.map((project) => projectIndexKey(project).state('queued'))
  const counts = await whileAvailable(() => Promise.all(keys.map((key) => redis.zcard(key))))
  return counts.reduce((sum, count) => sum + count, 0)
}
