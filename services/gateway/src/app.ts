import fastifyMultipart from '@fastify/multipart'
import { pingRedis } from '@edgesmith/builds/redis-connection'
import { auditRoutes } from '@edgesmith/audit/audit-routes'
import { ProblemError } from '@edgesmith/contract/problem'
import { guardRoutes } from '@edgesmith/service/access'
import { createApp, type App } from '@edgesmith/service/app'
import { describeApi } from '@edgesmith/service/openapi'
import type { FastifyBaseLogger } from 'fastify'
import { limitUploads } from './admission.ts'
import type { GatewayContext } from './context.ts'
import { limitRates } from './rate-limits.ts'
import { auditRecordRoutes } from './routes/audit.ts'
import { artifactProxy } from './routes/artifact-proxy.ts'
import { buildEventRoutes } from './routes/build-events.ts'
import { buildRoutes } from './routes/builds.ts'
import { canvosRoutes } from './routes/canvos.ts'
import { documentationRoutes } from './routes/documentation.ts'
import { fleetRoutes } from './routes/fleets.ts'
import { keyRoutes } from './routes/keys.ts'
import { projectRoutes } from './routes/projects.ts'
import { retentionRoutes } from './routes/retention.ts'
import { secretRoutes } from './routes/secrets.ts'
import { schemaRoutes } from './routes/schemas.ts'
import { resumableUploadRoutes } from './routes/resumable-uploads.ts'
import { tenantRoutes } from './routes/tenants.ts'
import { uploadRoutes } from './routes/uploads.ts'
import { validationRoutes } from './routes/validations.ts'
import { whoamiRoutes } from './routes/whoami.ts'
import { specLimitBytes } from './spec-document.ts'

/** Most parts of a form: the spec, a file for each single role, and 100 for each repeatable one. */
const partLimit = 512

/** Makes the gateway's app without the parts that other services or files answer for. */
export async function createGatewayApi(context: GatewayContext, logger: FastifyBaseLogger): Promise<App> {
  const { config, counters, identity, redis, stores, validation } = context
  const app = createApp({
    logger,
    bodyLimit: specLimitBytes,
    trustedProxies: config.trustedProxies,
    corsOrigins: config.corsOrigins,
    idleTimeoutMs: config.idleTimeoutSeconds * 1000,
    graceSeconds: config.graceSeconds,
    dependencies: [
      { name: 'redis', check: () => pingRedis(redis) },
      { name: 'object-store', check: () => stores.whole.check() },
      validation.dependency,
    ],
  })
  await describeApi(app)
  auditRoutes(app, () => context.stores.whole)
  const admit = await limitRates(app, {
    counters,
    limits: config.rateLimits,
    limitOfTenant: async (tenant) => (await identity.tenants.find(tenant))?.limits.requestsPerMinute,
  })
  guardRoutes(app, (headers) => identity.authenticator.authenticate(headers), admit)
  await app.register(async (scope) => {
    limitUploads(scope, context)
    await acceptForms(scope)
    uploadRoutes(scope, context)
    resumableUploadRoutes(scope, context)
    buildRoutes(scope, context)
    buildEventRoutes(scope, context)
    fleetRoutes(scope, context)
    validationRoutes(scope, context)
    canvosRoutes(scope, context)
    retentionRoutes(scope, context)
    secretRoutes(scope, context)
    auditRecordRoutes(scope, context)
    keyRoutes(scope, context)
    projectRoutes(scope, context)
    tenantRoutes(scope, context)
    whoamiRoutes(scope)
    schemaRoutes(scope)
  })
  return app
}

/** Lets bodies be forms and YAML besides JSON. */
async function acceptForms(scope: App): Promise<void> {
  await scope.register(fastifyMultipart, {
    limits: {
      fieldSize: specLimitBytes,
      fileSize: Infinity,
      files: partLimit,
      fields: partLimit,
      parts: partLimit,
      headerPairs: 100,
    },
  })
  scope.addHook('preValidation', (request, _reply, done) => {
    const isBounded = /;\s*boundary\s*=\s*("[^"]|[^\s";])/i.test(request.headers['content-type'] ?? '')
    done(
      request.isMultipart() && !isBounded
        ? new ProblemError('malformed-request', 'The Content-Type of the form names no boundary.')
        : undefined,
    )
  })
  scope.addContentTypeParser(
    ['application/yaml', 'text/yaml', 'application/x-yaml'],
    { parseAs: 'string' },
    (_request, body, done) => {
      done(null, body)
    },
  )
}

/** Makes the gateway's app: the API, the way to the artifact service, and the documentation. */
export async function createGatewayApp(context: GatewayContext, logger: FastifyBaseLogger): Promise<App> {
  const app = await createGatewayApi(context, logger)
  await artifactProxy(app, context)
  await documentationRoutes(app)
  return app
}
