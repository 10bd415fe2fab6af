import { ArtifactId } from '@edgesmith/contract/identifiers'
import { cycloneDxMediaType, Sbom } from '@edgesmith/contract/sbom'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { inProject, type ArtifactContext } from '../context.ts'
import { leaseFor, orNotFound, requireArtifact } from '../find-artifact.ts'
import { sbomOf } from '../image-sbom.ts'

/** `GET /v1/artifacts/{id}/sbom`. */
export function sbomRoute(app: App, context: ArtifactContext): void {
  app.get(
    '/v1/artifacts/:id/sbom',
    {
      config: { scope: 'artifacts:read' },
      schema: {
        operationId: 'getSbom',
        tags: ['artifacts'],
        summary: "List the packages of an ISO image's root file system",
        description:
          'CycloneDX, made by syft of the databases of dpkg, rpm or apk. The first call for a root file system reads it once, seconds per gigabyte; later ones, and those for images over the same root file system, are answered from what was kept.',
        params: Type.Object({ id: ArtifactId }),
        response: {
          200: { description: 'The packages.', content: { [cycloneDxMediaType]: { schema: Sbom } } },
          ...problemResponses('invalid-parameter', 'artifact-not-found', 'not-an-iso', 'sbom-unavailable'),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { store } = inProject(context, request.principal)
      request.raw.setTimeout(0)
      await using _lease = await leaseFor(request, store, id)
      const stored = await requireArtifact(store, id)
      const sbom = await orNotFound(sbomOf({ store, stored, tool: context.config.sbomTool ?? 'syft' }))
      // It is JSON already, with more members than the schema tells.
      return await reply
        .type(cycloneDxMediaType)
        .serializer((document: unknown) => document as string)
        .send(sbom as unknown as Sbom)
    },
  )
}
