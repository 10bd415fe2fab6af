import type { BuildEvents, EventReader } from '@edgesmith/builds/build-events'
import type { BuildQueue } from '@edgesmith/builds/build-queue'
import type { BuildRepository } from '@edgesmith/builds/build-repository'
import type { FleetQueue } from '@edgesmith/builds/fleet-queue'
import type { FleetRepository } from '@edgesmith/builds/fleet-repository'
import type { Wholeness } from '@edgesmith/builds/wholeness'
import type { Principal } from '@edgesmith/contract/access'
import type { Identity } from '@edgesmith/identity/identity'
import type { Keyring } from '@edgesmith/secrets/keyring'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { ProjectStores } from '@edgesmith/store/project-stores'
import type { SharedQuota, UploadLimits } from '@edgesmith/uploads/upload-limits'
import type { Redis } from 'ioredis'
import type { Agent } from 'undici'
import type { GatewayConfig } from './config.ts'
import type { DownloadUrlClient } from './fleet-download-urls.ts'
import type { ValidationClient } from './validation-client.ts'

/** What the gateway works with, for all projects. */
export type GatewayContext = {
  readonly config: GatewayConfig
  readonly identity: Identity
  readonly stores: ProjectStores
  readonly redis: Redis
  /** Where requests are counted; it fails at once while it is away. */
  readonly counters: Redis
  readonly wholeness: Wholeness
  readonly repository: BuildRepository
  readonly events: BuildEvents
  readonly queue: BuildQueue
  readonly validation: ValidationClient
  /** Connections to the artifact service. */
  readonly artifactAgent: Agent
  readonly fleets: FleetRepository
  readonly fleetQueue: FleetQueue
  readonly checksumQueue: FleetQueue
  readonly downloadUrls: DownloadUrlClient
  /** Undefined where no keys are configured: secrets are refused then. */
  readonly keyring: Keyring | undefined
}

/**
 * What a request works with: its project's part of what the gateway has. The objects, builds and fleets of
 * other projects are not there, whatever a handler asks for.
 */
export type ProjectContext = Omit<GatewayContext, 'stores' | 'events'> & {
  readonly principal: Principal
  readonly store: ObjectStore
  readonly events: EventReader
  readonly uploadLimits: UploadLimits
}

/** The part of the project that a request acts in. */
export function inProject(context: GatewayContext, principal: Principal): ProjectContext {
  const { stores, ...common } = context
  return {
    ...common,
    principal,
    store: stores.of(principal),
    repository: common.repository.within(principal),
    fleets: common.fleets.within(principal),
    events: common.events.within(principal),
    uploadLimits: { ...common.config.uploadLimits, sharedQuota: () => quotaOfTenant(context, principal) },
  }
}

async function quotaOfTenant(
  { identity, stores }: GatewayContext,
  { tenant: id }: Principal,
): Promise<SharedQuota | undefined> {
  const tenant = await identity.tenants.find(id)
  const bytes = tenant?.limits.uploadBytes
  if (tenant === undefined || bytes === undefined) return undefined
  return { bytes, stores: tenant.projects.map((project) => stores.of({ tenant: id, project: project.id })) }
}
