import { checksumLine } from '@edgesmith/artifacts/artifacts'
import { sha256Of } from '@edgesmith/artifacts/digest'
import { ArtifactId } from '@edgesmith/contract/identifiers'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { inProject, type ArtifactContext } from '../context.ts'
import { orNotFound, requireArtifact } from '../find-artifact.ts'

/** `GET /v1/artifacts/{id}/checksum`. */
export function checksumRoute(app: App, context: ArtifactContext): void {
  app.get(
    '/v1/artifacts/:id/checksum',
    {
      config: { scope: 'artifacts:read' },
      schema: {
        operationId: 'getChecksum',
        tags: ['artifacts'],
        summary: 'Tell the SHA-256 of an artifact',
        description:
          'The line that `sha256sum` writes of the file, which `sha256sum --check` reads. Of an ISO that was stamped or composed the digest is computed when it is first asked for, which takes as long as it takes to read the ISO; then it is kept.',
        params: Type.Object({ id: ArtifactId }),
        response: {
          200: { description: 'The line.', content: { 'text/plain': { schema: Type.String() } } },
          ...problemResponses('invalid-parameter', 'artifact-not-found'),
        },
      },
    },
    async (request, reply) => {
      const { store, images } = inProject(context, request.principal)
      const stored = await requireArtifact(store, request.params.id)
      request.raw.setTimeout(0)
      const sha256 = await orNotFound(sha256Of(store, stored, images))
      return reply.type('text/plain; charset=utf-8').send(checksumLine(sha256, stored.artifact.name))
    },
  )
}
