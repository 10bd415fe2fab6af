import { createApp, type App, type Dependency } from '@edgesmith/service/app'
import { requireCaller, type ServiceTls } from '@edgesmith/service/service-server'
import type { FastifyBaseLogger } from 'fastify'
import type { ValidationContext } from './context.ts'
import { batchRoutes } from './routes/batch.ts'
import { canvosRoutes } from './routes/canvos.ts'
import { validationRoutes } from './routes/validations.ts'

/** Most bytes a validation request may have: a build spec, and where its inputs are. */
const bodyLimit = 4 * 1024 * 1024

/** Makes the validation service's app, for the gateway alone. */
export function createValidationApp(
  context: ValidationContext,
  logger: FastifyBaseLogger,
  services: ServiceTls,
): App {
  const { graceSeconds } = context.config
  const dependencies = dependenciesOf(context)
  const app = createApp({ logger, bodyLimit, graceSeconds, services, dependencies })
  app.addHook('onRequest', requireCaller('gateway'))
  validationRoutes(app, context)
  batchRoutes(app)
  canvosRoutes(app, context)
  return app
}

/** Makes the app for those who watch the service: health and readiness alone. */
export function createHealthApp(context: ValidationContext, logger: FastifyBaseLogger): App {
  const { graceSeconds } = context.config
  return createApp({ logger, graceSeconds, dependencies: dependenciesOf(context) })
}

function dependenciesOf({ stores }: ValidationContext): Dependency[] {
  return [{ name: 'object-store', check: () => stores.whole.check() }]
}
