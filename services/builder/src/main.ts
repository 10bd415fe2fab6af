import { runUntilSignal } from '@edgesmith/service/lifecycle'
import { readEnv, toConfig } from './config.ts'
import { startBuilder } from './service.ts'

await runUntilSignal(
  () => toConfig(readEnv()),
  (config, stopping) => startBuilder(config, { stopping }),
)
