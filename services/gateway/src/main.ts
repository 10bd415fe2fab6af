import { runUntilSignal } from '@edgesmith/service/lifecycle'
import { readEnv, toConfig } from './config.ts'
import { startGateway } from './service.ts'

await runUntilSignal(
  () => toConfig(readEnv()),
  (config, stopping) => startGateway(config, { stopping }),
)
