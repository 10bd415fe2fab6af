import { ArtifactId } from '@edgesmith/contract/identifiers'
import { ImageContents, ImageContentsQuery } from '@edgesmith/contract/verification'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { inProject, type ArtifactContext } from '../context.ts'
import { leaseFor, requireArtifact } from '../find-artifact.ts'
import { listContents } from '../image-contents.ts'

/** `GET /v1/artifacts/{id}/contents`. */
export function contentsRoutes(app: App, context: ArtifactContext): void {
  app.get(
    '/v1/artifacts/:id/contents',
    {
      config: { scope: 'artifacts:read' },
      schema: {
        operationId: 'listArtifactContents',
        tags: ['artifacts'],
        summary: 'List the files of an ISO image',
        description:
          'The first call for an image reads all of it, to tell the SHA-256 of each file: seconds per gigabyte. Later ones, and those for artifacts with the same bytes, are answered from what was kept.',
        params: Type.Object({ id: ArtifactId }),
        querystring: ImageContentsQuery,
        response: {
          200: { description: 'The files.', content: { 'application/json': { schema: ImageContents } } },
          ...problemResponses('invalid-parameter', 'artifact-not-found', 'not-an-iso'),
        },
      },
    },
    async (request) => {
      const { store } = inProject(context, request.principal)
      const { id } = request.params
      request.raw.setTimeout(0)
      await using _lease = await leaseFor(request, store, id)
      return await listContents(store, await requireArtifact(store, id), request.query)
    },
  )
}
