import type { ImageDigests } from '@edgesmith/bases/image-digests'
import type { Maker } from '@edgesmith/bases/keys'
import type { ConclusionParts } from '@edgesmith/builds/build-conclusion'
import type { Notifications } from '@edgesmith/builds/notifications'
import type { BuildEngine } from '@edgesmith/contract/build'
import type { Mirror } from '@edgesmith/canvos/mirror'
import type { BuildkitDaemon } from '@edgesmith/engine/buildkit-daemon'
import type Docker from 'dockerode'
import type { FastifyBaseLogger } from 'fastify'
import type { BuilderConfig } from './config.ts'

/** What the builder works with. */
export type BuilderContext = ConclusionParts & {
  readonly config: BuilderConfig
  readonly logger: FastifyBaseLogger
  readonly notifications: Notifications
  readonly mirror: Mirror
  readonly docker: Docker
  readonly daemon: BuildkitDaemon
  readonly digests: ImageDigests
  readonly maker: Maker
  /** What runs Earthly, as records of builds tell it. */
  readonly engine: BuildEngine
}
