import { withKnownDigest } from '@edgesmith/artifacts/digest'
import { materializeArtifact } from '@edgesmith/artifacts/materialize'
import { Artifact } from '@edgesmith/contract/artifact'
import { ArtifactId } from '@edgesmith/contract/identifiers'
import { ProblemError } from '@edgesmith/contract/problem'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { inProject, type ArtifactContext } from '../context.ts'
import { orNotFound } from '../find-artifact.ts'

/** `POST /v1/artifacts/{id}/materialize`. */
export function materializeRoute(app: App, context: ArtifactContext): void {
  app.post(
    '/v1/artifacts/:id/materialize',
    {
      config: { scope: 'artifacts:download' },
      schema: {
        operationId: 'materializeArtifact',
        tags: ['artifacts'],
        summary: 'Make one object of an artifact',
        description:
          'An ISO that was stamped or composed refers to parts of other objects. This copies them to one object of its own; MinIO does that by itself for all but small parts. The bytes and the ETag stay as they are. Answers when it is done; once more does no harm.',
        params: Type.Object({ id: ArtifactId }),
        response: {
          200: { description: 'The artifact.', content: { 'application/json': { schema: Artifact } } },
          ...problemResponses('invalid-parameter', 'artifact-not-found'),
        },
      },
    },
    async (request) => {
      const { store } = inProject(context, request.principal)
      const { id } = request.params
      request.raw.setTimeout(0)
      const stored = await orNotFound(materializeArtifact(store, id))
      if (stored === undefined) throw new ProblemError('artifact-not-found', `There is no artifact ${id}.`)
      return withKnownDigest(store, stored)
    },
  )
}
