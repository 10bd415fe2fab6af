import fastifyMultipart from '@fastify/multipart'
import { createApp, type App } from '@edgesmith/service/app'
import { bearerTokenCheck } from '@edgesmith/service/bearer-token'
import { describeApi } from '@edgesmith/service/openapi'
import type { FastifyBaseLogger } from 'fastify'
import type { GatewayContext } from './context.ts'
import { artifactProxy } from './routes/artifact-proxy.ts'
import { buildEventRoutes } from './routes/build-events.ts'
import { buildRoutes } from './routes/builds.ts'
import { canvosRoutes } from './routes/canvos.ts'
import { documentationRoutes } from './routes/documentation.ts'
import { uploadRoutes } from './routes/uploads.ts'
import { validationRoutes } from './routes/validations.ts'
import { specLimitBytes } from './spec-document.ts'

/** Most parts of a form: the spec, a file for each single role, and 100 for each repeatable one. */
const partLimit = 256

/** Makes the gateway's app without the parts that other services or files answer for. */
export async function createGatewayApi(context: GatewayContext, logger: FastifyBaseLogger): Promise<App> {
  const { config, builds, store, validation } = context
  const app = createApp({
    logger,
    bodyLimit: specLimitBytes,
    dependencies: [
      { name: 'redis', check: () => builds.check() },
      { name: 'object-store', check: () => store.check() },
      validation.dependency,
    ],
  })
  await describeApi(app)
  await app.register(fastifyMultipart, {
    limits: { fieldSize: specLimitBytes, fileSize: Infinity, files: partLimit, fields: partLimit, parts: partLimit, headerPairs: 100 },
  })
  app.addContentTypeParser(['application/yaml', 'text/yaml', 'application/x-yaml'], { parseAs: 'string' }, (_request, body, done) => {
    done(null, body)
  })

  const checkToken = bearerTokenCheck(config.apiTokens)
  app.addHook('onRequest', async (request) => {
    if (request.url.startsWith('/v1/') && !request.url.startsWith('/v1/downloads/')) checkToken(request.headers.authorization)
  })

  await app.register(async (scope) => {
    const uploads = scope as unknown as App
    uploads.removeAllContentTypeParsers()
    await uploads.register(fastifyMultipart, { limits: { fileSize: Infinity, files: 1, parts: 8 } })
    uploads.addContentTypeParser('*', (_request, payload, done) => { done(null, payload) })
    uploadRoutes(uploads, context)
  })
  buildRoutes(app, context)
  buildEventRoutes(app, context)
  validationRoutes(app, context)
  canvosRoutes(app, context)
  return app
}

/** Makes the gateway's app: the API, the way to the artifact service, and the documentation. */
export async function createGatewayApp(context: GatewayContext, logger: FastifyBaseLogger): Promise<App> {
  const app = await createGatewayApi(context, logger)
  await artifactProxy(app, context)
  await documentationRoutes(app)
  return app
}
