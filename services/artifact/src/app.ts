import type { App } from '@edgesmith/service/app'
import { createApp } from '@edgesmith/service/app'
import { describeApi } from '@edgesmith/service/openapi'
import type { FastifyBaseLogger } from 'fastify'
import type { ArtifactContext } from './context.ts'
import { artifactRoutes } from './routes/artifacts.ts'
import { downloadRoutes } from './routes/downloads.ts'

/** Makes the artifact service's app. */
export async function createArtifactApp(context: ArtifactContext, logger: FastifyBaseLogger): Promise<App> {
  const app = createApp({
    logger,
    dependencies: [{ name: 'object-store', check: () => context.store.check() }],
  })
  await describeApi(app)
  artifactRoutes(app, context)
  downloadRoutes(app, context)
  return app
}
