import type { BuildEvents } from '@edgesmith/builds/build-events'
import type { BuildQueue } from '@edgesmith/builds/build-queue'
import type { BuildRepository } from '@edgesmith/builds/build-repository'
import type { FleetQueue } from '@edgesmith/builds/fleet-queue'
import type { FleetRepository } from '@edgesmith/builds/fleet-repository'
import type { Identity } from '@edgesmith/identity/identity'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { Redis } from 'ioredis'
import type { GatewayConfig } from './config.ts'
import type { DownloadUrlClient } from './fleet-download-urls.ts'
import type { ValidationClient } from './validation-client.ts'

/** What the gateway's routes work with. */
export type GatewayContext = {
  readonly config: GatewayConfig
  readonly identity: Identity
  readonly store: ObjectStore
  readonly redis: Redis
  readonly repository: BuildRepository
  readonly events: BuildEvents
  readonly queue: BuildQueue
  readonly validation: ValidationClient
  readonly fleets: FleetRepository
  readonly fleetQueue: FleetQueue
  readonly checksumQueue: FleetQueue
  readonly downloadUrls: DownloadUrlClient
}
