import { CanvosReleases } from '@edgesmith/contract/release'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import type { GatewayContext } from '../context.ts'

/** `GET /v1/canvos/releases`. */
export function canvosRoutes(app: App, { validation }: GatewayContext): void {
  app.get(
    '/v1/canvos/releases',
    {
      schema: {
        operationId: 'listCanvosReleases',
        tags: ['canvos'],
        summary: 'List the CanvOS tags that can be built, newest version first',
        response: {
          200: { description: 'The releases.', content: { 'application/json': { schema: CanvosReleases } } },
          ...problemResponses(),
        },
      },
    },
    () => validation.releases(),
  )
}
