import { BuildkitDaemon } from '@edgesmith/engine/buildkit-daemon'
import type { DaemonLimits } from '@edgesmith/engine/daemon-limits'
import type Docker from 'dockerode'
import type { FastifyBaseLogger } from 'fastify'
import type { BuilderConfig } from './config.ts'

export type DaemonParts = {
  readonly docker: Docker
  readonly config: BuilderConfig
  readonly limits: DaemonLimits
  readonly logger: FastifyBaseLogger
}

/** The BuildKit daemon of a worker, or of one tenant alone; it is not started yet. */
export function openDaemon({ docker, config, limits, logger }: DaemonParts, tenant?: string): BuildkitDaemon {
  const { workerId, engine, network, logLimitBytes } = config
  return new BuildkitDaemon({
    docker,
    workerId,
    tenant,
    image: engine.daemonImage,
    cacheBytes: engine.cacheBytes,
    parallelism: engine.parallelism,
    insecureRegistries: network.insecureRegistries,
    limits,
    runtime: engine.runtime,
    stepLogBytes: logLimitBytes,
    network,
    onStalePolicy: (error) => {
      logger.error({ err: error, tenant }, 'The network policy of builds is not brought up to date.')
    },
    onReplaced: (reason) => {
      logger.warn({ reason, tenant }, 'The BuildKit daemon is replaced.')
    },
  })
}
