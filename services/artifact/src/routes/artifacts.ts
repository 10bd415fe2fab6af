import { findArtifact } from '@edgesmith/artifacts/artifacts'
import { signDownloadUrl } from '@edgesmith/artifacts/signed-url'
import { Artifact, DownloadUrl, DownloadUrlRequest } from '@edgesmith/contract/artifact'
import { ArtifactId } from '@edgesmith/contract/identifiers'
import { ProblemError } from '@edgesmith/contract/problem'
import type { App } from '@edgesmith/service/app'
import { requireBearerToken } from '@edgesmith/service/bearer-token'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import type { ArtifactContext } from '../context.ts'

const Params = Type.Object({ id: ArtifactId })

/** `GET /v1/artifacts/{id}` and `POST /v1/artifacts/{id}/download-url`. */
export function artifactRoutes(app: App, { config, store, publicUrl }: ArtifactContext): void {
  const onRequest = requireBearerToken(config.apiTokens)

  async function getArtifact(id: string): Promise<Artifact> {
    const artifact = (await findArtifact(store, id))?.artifact
    if (artifact === undefined) throw new ProblemError('artifact-not-found', `There is no artifact ${id}.`)
    return artifact
  }

  app.get(
    '/v1/artifacts/:id',
    {
      onRequest,
      schema: {
        operationId: 'getArtifact',
        tags: ['artifacts'],
        summary: 'Tell about an artifact',
        params: Params,
        response: {
          200: { description: 'The artifact.', content: { 'application/json': { schema: Artifact } } },
          ...problemResponses('invalid-parameter', 'artifact-not-found'),
        },
      },
    },
    (request) => getArtifact(request.params.id),
  )

  app.post(
    '/v1/artifacts/:id/download-url',
    {
      onRequest,
      schema: {
        operationId: 'createDownloadUrl',
        tags: ['artifacts'],
        summary: 'Make a signed URL to download an artifact',
        description:
          'The URL needs no credentials until it expires: hand it to a provisioning system or to `curl`.',
        params: Params,
        body: DownloadUrlRequest,
        response: {
          201: { description: 'The signed URL.', content: { 'application/json': { schema: DownloadUrl } } },
          ...problemResponses(
            'malformed-request',
            'invalid-parameter',
            'artifact-not-found',
            'content-too-large',
            'unsupported-media-type',
            'invalid-body',
          ),
        },
      },
    },
    async (request, reply) => {
      const artifact = await getArtifact(request.params.id)
      const expiresAt = new Date(Date.now() + request.body.ttlSeconds * 1000)
      const [key = ''] = config.signingKeys
      const { id, name } = artifact
      return reply
        .code(201)
        .send(signDownloadUrl({ baseUrl: publicUrl(), artifactId: id, name, expiresAt, key }))
    },
  )
}
