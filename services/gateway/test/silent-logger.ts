import { createLogger } from '@edgesmith/service/lifecycle'

/** Tells of nothing but what must not happen. */
export const fastifyLogger = createLogger('test', process.env['EDGESMITH_TEST_LOG_LEVEL'] ?? 'error')

/** For what is to fail. */
export const silentLogger = createLogger('test', 'silent')
