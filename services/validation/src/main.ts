import { runUntilSignal } from '@edgesmith/service/lifecycle'
import { readEnv, toConfig } from './config.ts'
import { startValidation } from './service.ts'

await runUntilSignal(() => startValidation(toConfig(readEnv())))
