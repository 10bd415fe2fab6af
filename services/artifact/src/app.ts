import { auditRoutes } from '@edgesmith/audit/audit-routes'
import { guardRoutes } from '@edgesmith/service/access'
import type { App } from '@edgesmith/service/app'
import { createApp } from '@edgesmith/service/app'
import { forwardedAuthentication } from '@edgesmith/service/forwarded-principal'
import { describeApi } from '@edgesmith/service/openapi'
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

/** Makes the artifact service's app. */
export async function createArtifactApp(context: ArtifactContext, logger: FastifyBaseLogger): Promise<App> {
  const app = createApp({
    logger,
    trustedProxies: context.config.trustedProxies,
    dependencies: [{ name: 'object-store', check: () => context.stores.whole.check() }],
  })
  app.addHook('onError', (request, _reply, error) => reactToDamage(context.stores, request.log, error))
  await describeApi(app)
  auditRoutes(app, () => context.stores.whole)
  guardRoutes(app, forwardedAuthentication(context.config.serviceTokens))
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
