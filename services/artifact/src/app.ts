import { auditRoutes } from '@edgesmith/audit/audit-routes'
import { guardRoutes } from '@edgesmith/service/access'
import type { App } from '@edgesmith/service/app'
import { createApp } from '@edgesmith/service/app'
import { forwardedAuthentication, refuseForwarded } from '@edgesmith/service/forwarded-principal'
import { describeApi } from '@edgesmith/service/openapi'
import type { ServiceTls } from '@edgesmith/service/service-server'
import type { FastifyBaseLogger } from 'fastify'
import type { ArtifactContext } from './context.ts'
import { reactToDamage } from './found-damage.ts'
import { artifactRoutes } from './routes/artifacts.ts'
import { batchDownloadUrlRoute } from './routes/batch-download-urls.ts'
import { checksumRoute } from './routes/checksum.ts'
import { contentsRoutes } from './routes/contents.ts'
import { downloadUrlRoutes } from './routes/download-urls.ts'
import { downloadRoutes } from './routes/downloads.ts'
import { materializeRoute } from './routes/materialize.ts'
import { provenanceRoutes } from './routes/provenance.ts'
import { sbomRoute } from './routes/sbom.ts'
import { verifyRoutes } from './routes/verify.ts'

/**
 * Makes the artifact service's app for the gateway, which says who makes a request; without `services`, what is
 * guarded is refused to everybody.
 */
export async function createArtifactApp(
  context: ArtifactContext,
  logger: FastifyBaseLogger,
  services?: ServiceTls,
): Promise<App> {
  const app = createCommonApp(context, logger, services)
  await describeApi(app)
  auditRoutes(app, () => context.stores.whole)
  guardRoutes(app, forwardedAuthentication)
  artifactRoutes(app, context)
  downloadUrlRoutes(app, context)
  batchDownloadUrlRoute(app, context)
  contentsRoutes(app, context)
  verifyRoutes(app, context)
  checksumRoute(app, context)
  materializeRoute(app, context)
  provenanceRoutes(app, context)
  sbomRoute(app, context)
  downloadRoutes(app, context)
  return app
}

/** Makes the app for everybody: the signed URLs, which are their own credentials. */
export function createDownloadApp(context: ArtifactContext, logger: FastifyBaseLogger): App {
  const app = createCommonApp(context, logger)
  app.addHook('onRequest', refuseForwarded)
  auditRoutes(app, () => context.stores.whole)
  downloadRoutes(app, context)
  return app
}

function createCommonApp(context: ArtifactContext, logger: FastifyBaseLogger, services?: ServiceTls): App {
  const { trustedProxies, corsOrigins, graceSeconds, idleTimeoutSeconds } = context.config
  const app = createApp({
    logger,
    graceSeconds,
    trustedProxies,
    ...(corsOrigins === undefined ? {} : { corsOrigins }),
    ...(idleTimeoutSeconds === undefined ? {} : { idleTimeoutMs: idleTimeoutSeconds * 1000 }),
    dependencies: [{ name: 'object-store', check: () => context.stores.whole.check() }],
    ...(services === undefined ? {} : { services }),
  })
  app.addHook('onError', (request, _reply, error) => reactToDamage(context.stores, request.log, error))
  return app
}
