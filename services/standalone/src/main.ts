import { runUntilSignal } from '@edgesmith/service/lifecycle'
import { readConfig } from './config.ts'
import { startStandalone } from './standalone.ts'

await runUntilSignal(readConfig, (config, stopping) => startStandalone(config, { stopping }))
