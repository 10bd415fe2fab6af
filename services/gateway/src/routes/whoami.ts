import { Principal } from '@edgesmith/contract/access'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'

/** The route of `/v1/whoami`. */
export function whoamiRoutes(app: App): void {
  app.get(
    '/v1/whoami',
    {
      config: { scope: 'any' },
      schema: {
        operationId: 'whoAmI',
        tags: ['keys'],
        summary: 'Tell whose the credentials are',
        description: 'Who makes the request, in which project, and what the credentials may be used for.',
        response: {
          200: {
            description: 'Whose credentials they are.',
            content: { 'application/json': { schema: Principal } },
          },
          ...problemResponses('invalid-parameter'),
        },
      },
    },
    (request) => request.principal,
  )
}
