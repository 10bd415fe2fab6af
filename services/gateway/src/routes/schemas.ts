import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { userDataSchema } from '@edgesmith/user-data/schema/user-data'
import { Type } from 'typebox'

/** `GET /v1/schemas/user-data`. */
export function schemaRoutes(app: App): void {
  app.get(
    '/v1/schemas/user-data',
    {
      config: { scope: 'canvos:read' },
      schema: {
        operationId: 'getUserDataSchema',
        tags: ['validations'],
        summary: 'Get the JSON Schema of user-data, for editors',
        description:
          'Point an editor at it, for example with a first line `# yaml-language-server: $schema=…/v1/schemas/user-data` below `#cloud-config`.',
        response: {
          200: {
            description: 'JSON Schema, draft 2020-12.',
            content: {
              'application/schema+json': {
                schema: Type.Unsafe<object>({
                  type: 'object',
                  description: 'A JSON Schema.',
                  examples: [
                    {
                      $schema: 'https://json-schema.org/draft/2020-12/schema',
                      title: 'Edge installer user-data',
                    },
                  ],
                }),
              },
            },
          },
          ...problemResponses('not-acceptable'),
        },
      },
    },
    async (_request, reply) =>
      reply.type('application/schema+json').serializer(JSON.stringify).send(userDataSchema),
  )
}
