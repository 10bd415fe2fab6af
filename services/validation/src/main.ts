import { runUntilSignal } from '@edgesmith/service/lifecycle'
import { readEnv, toConfig } from './config.ts'
import { startValidation } from './service.ts'

await runUntilSignal(
  () => toConfig(readEnv()),
  (config, stopping) => startValidation(config, { stopping }),
)
