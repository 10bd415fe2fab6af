import { readFile } from 'node:fs/promises'
import swaggerUi from '@fastify/swagger-ui'
import type { App } from '@edgesmith/service/app'
import { pageHeaders } from '@edgesmith/service/security-headers'

const documentPath = new URL('../../../../openapi/openapi.json', import.meta.url)

/** `GET /openapi.json` and the interactive documentation at `/docs`. */
export async function documentationRoutes(app: App): Promise<void> {
  const document = JSON.parse(await readFile(documentPath, 'utf8')) as Record<string, unknown>
  await app.register(async (scope) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, scope: 'public', helmet: pageHeaders }
    })
    scope.get('/openapi.json', { schema: { hide: true } }, () => document)
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      // The servers of the committed document are examples; the page calls the server it came from.
      transformSpecification: () => ({ ...document, servers: [{ url: '/' }] }),
      transformSpecificationClone: false,
    })
  })
}
