import type { ImageDigests } from '@edgesmith/bases/image-digests'
import type { Maker } from '@edgesmith/bases/keys'
import type { BuildEvents } from '@edgesmith/builds/build-events'
import type { ConclusionParts } from '@edgesmith/builds/build-conclusion'
import type { ShareOf } from '@edgesmith/builds/build-queue'
import type { Notifications } from '@edgesmith/builds/notifications'
import type { BuildEngine } from '@edgesmith/contract/build'
import type { Mirror } from '@edgesmith/canvos/mirror'
import { RecordCache } from '@edgesmith/identity/record-cache'
import { tenantShares } from '@edgesmith/identity/tenant-share'
import { Tenants } from '@edgesmith/identity/tenants'
import type { ProjectRef } from '@edgesmith/contract/project'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { ActiveRedactors } from '@edgesmith/redaction/active-redactors'
import type { Keyring } from '@edgesmith/secrets/keyring'
import type Docker from 'dockerode'
import type { FastifyBaseLogger } from 'fastify'
import type { BuilderConfig } from './config.ts'
import type { Daemons } from './daemons.ts'

/** What the builder works with: the builds of all projects. */
export type BuilderContext = ConclusionParts & {
  readonly config: BuilderConfig
  readonly events: BuildEvents
  readonly logger: FastifyBaseLogger
  readonly notifications: Notifications
  readonly mirror: Mirror
  readonly docker: Docker
  readonly daemons: Daemons
  readonly digests: ImageDigests
  readonly maker: Maker
  /** Undefined where no keys are configured. */
  readonly keyring: Keyring | undefined
  /** What the log of the service is masked by. */
  readonly redactors: ActiveRedactors
  /** What runs Earthly, as records of builds tell it. */
  readonly engine: BuildEngine
}

/** What a build or a fleet of one project is made with: its `store` and `repository` know no other project. */
export type ProjectContext = BuilderContext & { readonly store: ObjectStore }

/** The part of the project that a build or a fleet is of. */
export function inProject<Context extends Pick<BuilderContext, 'stores' | 'repository'>>(
  context: Context,
  project: ProjectRef,
): Context & Pick<ProjectContext, 'store'> {
  return {
    ...context,
    store: context.stores.of(project),
    repository: context.repository.within(project),
  }
}

/** Tells the share that each tenant has of the workers. */
export function sharesOf({ stores, redis }: Pick<BuilderContext, 'stores' | 'redis'>): ShareOf {
  return tenantShares(new Tenants({ store: stores.whole, cache: new RecordCache(redis) }))
}
