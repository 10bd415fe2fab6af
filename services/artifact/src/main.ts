import { runUntilSignal } from '@edgesmith/service/lifecycle'
import { readEnv, toConfig } from './config.ts'
import { startArtifact } from './service.ts'

await runUntilSignal(
  () => toConfig(readEnv()),
  (config, stopping) => startArtifact(config, { stopping }),
)
