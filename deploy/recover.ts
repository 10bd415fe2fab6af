/**
 * Brings builds, fleets and their idempotency keys back into a Redis that has lost them: npm run recover. What Redis
 * has stays as it is, and the services may run meanwhile; it can be run as often as one likes. The services do the
 * same by themselves when they find Redis empty.
 */
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { listProjects } from '@edgesmith/identity/tenants'
import { recover } from '@edgesmith/retention/working-copy'
import {
  objectStoreVariables,
  redisVariables,
  toObjectStoreConfig,
} from '@edgesmith/service/common-variables'
import { ConfigurationError, readEnvironment } from '@edgesmith/service/environment'
import { openStore } from '@edgesmith/store/open-store'
import { ProjectStores } from '@edgesmith/store/project-stores'

const env = readEnvironment({ ...objectStoreVariables, ...redisVariables }, process.env)
const faults = [...env.faults]
const objectStore = toObjectStoreConfig(env, faults)
try {
  if (faults.length > 0) throw new ConfigurationError(faults)
  const stores = new ProjectStores(await openStore(objectStore))
  const onError = (error: Error) => {
    console.error(`Redis is out of reach: ${error.message}`)
  }
  await using resources = new AsyncDisposableStack()
  const redis = resources.adopt(
    openRedis(env.REDIS_URL, { patience: 'brief', name: 'recover', onError }),
    closeRedis,
  )
  const { ended, queued, fleets, failed } = await recover({
    ...{ redis, stores, logger: console },
    listProjects: () => listProjects(stores.whole),
  })
  console.log(`${ended} ended builds, ${queued} queued builds and ${fleets} fleets are back.`)
  for (const { key, reason } of failed) console.error(`${key}: ${reason}`)
  if (failed.length > 0) process.exitCode = 1
} catch (error) {
  if (!(error instanceof ConfigurationError)) throw error
  console.error(error.message)
  process.exitCode = 78
}
