import { createApp, type App } from '@edgesmith/service/app'
import { requireBearerToken } from '@edgesmith/service/bearer-token'
import type { FastifyBaseLogger } from 'fastify'
import type { ValidationContext } from './context.ts'
import { batchRoutes } from './routes/batch.ts'
import { canvosRoutes } from './routes/canvos.ts'
import { validationRoutes } from './routes/validations.ts'

/** Most bytes a validation request may have: a build spec, and where its inputs are. */
const bodyLimit = 4 * 1024 * 1024

/** Makes the validation service's app. Only the gateway calls it. */
export function createValidationApp(context: ValidationContext, logger: FastifyBaseLogger): App {
  const app = createApp({
    logger,
    bodyLimit,
    dependencies: [{ name: 'object-store', check: () => context.stores.whole.check() }],
  })
  void app.register((scope, _options, done) => {
    scope.addHook('onRequest', requireBearerToken(context.config.serviceTokens))
    validationRoutes(scope, context)
    batchRoutes(scope)
    canvosRoutes(scope, context)
    done()
  })
  return app
}
