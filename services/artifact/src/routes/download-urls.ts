import { createGrant, removeGrant, revokeGrant } from '@edgesmith/artifacts/grant'
import { parseNetwork } from '@edgesmith/artifacts/grant-network'
import { signDownloadUrl } from '@edgesmith/artifacts/signed-url'
import { DownloadUrl, DownloadUrlId, DownloadUrlRequest } from '@edgesmith/contract/artifact'
import { ArtifactId } from '@edgesmith/contract/identifiers'
import { projectOf } from '@edgesmith/contract/project'
import { ProblemError } from '@edgesmith/contract/problem'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { inProject, type ArtifactContext } from '../context.ts'
import { requireArtifact } from '../find-artifact.ts'

const Params = Type.Object({ id: ArtifactId })
const UrlParams = Type.Object({ id: ArtifactId, urlId: DownloadUrlId })

/** `POST /v1/artifacts/{id}/download-url` and `DELETE /v1/artifacts/{id}/download-urls/{urlId}`. */
export function downloadUrlRoutes(app: App, context: ArtifactContext): void {
  const { config, publicUrl } = context

  app.post(
    '/v1/artifacts/:id/download-url',
    {
      config: { scope: 'artifacts:download' },
      schema: {
        operationId: 'createDownloadUrl',
        tags: ['artifacts'],
        summary: 'Make a signed URL to download an artifact',
        description:
          'The URL needs no credentials until it expires: hand it to a provisioning system or to `curl`. It can be limited to a number of downloads and to clients of an address or network, and be revoked by its `id`. Every GET that is answered with bytes counts as a download, a range too.',
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
      const project = projectOf(request.principal)
      const { store } = inProject(context, project)
      const { ttlSeconds, method, maxDownloads: limit, clientAddress } = request.body
      const client = clientAddress === undefined ? undefined : requireNetwork(clientAddress)
      const expires = Math.floor(Date.now() / 1000) + ttlSeconds
      const expiresAt = new Date(expires * 1000)
      const [found, granted] = await Promise.allSettled([
        requireArtifact(store, request.params.id),
        createGrant(store, { artifactId: request.params.id, expiresAt }),
      ])
      if (found.status === 'rejected') {
        if (granted.status === 'fulfilled') await removeGrant(store, granted.value)
        throw found.reason
      }
      if (granted.status === 'rejected') throw granted.reason
      const { artifact } = found.value
      const id = granted.value
      const [key = ''] = config.signingKeys
      const url = signDownloadUrl(
        { project, artifactId: artifact.id, name: artifact.name, method, expires, grant: id, limit, client },
        { baseUrl: publicUrl(), key },
      )
      return reply.code(201).send({ id, url, expiresAt: expiresAt.toISOString() })
    },
  )

  app.delete(
    '/v1/artifacts/:id/download-urls/:urlId',
    {
      config: { scope: 'artifacts:download' },
      schema: {
        operationId: 'revokeDownloadUrl',
        tags: ['artifacts'],
        summary: 'Revoke a signed URL',
        description:
          'Requests by the URL are refused from then on; a download that is under way goes on. Revoking once more does no harm.',
        params: UrlParams,
        response: {
          204: { description: 'The URL is revoked.', type: 'null' },
          ...problemResponses('invalid-parameter', 'artifact-not-found', 'download-url-not-found'),
        },
      },
    },
    async (request, reply) => {
      const { store } = inProject(context, request.principal)
      const { id, urlId } = request.params
      const { artifact } = await requireArtifact(store, id)
      if (!(await revokeGrant(store, artifact.id, urlId))) {
        throw new ProblemError(
          'download-url-not-found',
          `The artifact ${id} has no signed URL ${urlId}, or it has expired and is forgotten.`,
        )
      }
      return reply.code(204).send(null)
    },
  )
}

function requireNetwork(text: string): string {
  const network = parseNetwork(text)
  if (network !== undefined) return network
  throw new ProblemError('invalid-body', 'The clientAddress is neither an IP address nor a network.', {
    errors: [
      {
        severity: 'error',
        source: 'spec',
        code: 'download-url.client-address',
        pointer: '/clientAddress',
        message: `${JSON.stringify(text)} is neither an IP address nor a network in CIDR notation, such as 203.0.113.7, 2001:db8::1 or 203.0.113.0/24.`,
      },
    ],
  })
}
