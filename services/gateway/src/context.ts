import type { BuildEvents } from '@edgesmith/builds/build-events'
import type { BuildQueue } from '@edgesmith/builds/build-queue'
import type { BuildRepository } from '@edgesmith/builds/build-repository'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { Redis } from 'ioredis'
import type { GatewayConfig } from './config.ts'
import type { ValidationClient } from './validation-client.ts'

/** What the gateway's routes work with. */
export type GatewayContext = {
  readonly config: GatewayConfig
  readonly store: ObjectStore
  readonly redis: Redis
  readonly repository: BuildRepository
  readonly events: BuildEvents
  readonly queue: BuildQueue
  readonly validation: ValidationClient
}
