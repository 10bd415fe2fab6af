import { withKnownDigest } from '@edgesmith/artifacts/digest'
import { Artifact } from '@edgesmith/contract/artifact'
import { ArtifactId } from '@edgesmith/contract/identifiers'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { inProject, type ArtifactContext } from '../context.ts'
import { requireArtifact } from '../find-artifact.ts'

/** `GET /v1/artifacts/{id}`. */
export function artifactRoutes(app: App, context: ArtifactContext): void {
  app.get(
    '/v1/artifacts/:id',
    {
      config: { scope: 'artifacts:read' },
      schema: {
        operationId: 'getArtifact',
        tags: ['artifacts'],
        summary: 'Tell about an artifact',
        params: Type.Object({ id: ArtifactId }),
        response: {
          200: { description: 'The artifact.', content: { 'application/json': { schema: Artifact } } },
          ...problemResponses('invalid-parameter', 'artifact-not-found'),
        },
      },
    },
    async (request) => {
      const { store } = inProject(context, request.principal)
      return withKnownDigest(store, await requireArtifact(store, request.params.id))
    },
  )
}
