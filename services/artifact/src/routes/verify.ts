import { inHashingTurn } from '@edgesmith/artifacts/hashing-turn'
import { ArtifactId } from '@edgesmith/contract/identifiers'
import { VerificationReport } from '@edgesmith/contract/verification'
import { DamagedObject } from '@edgesmith/store/object-store'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { inProject, type ArtifactContext } from '../context.ts'
import { leaseFor, requireArtifact } from '../find-artifact.ts'
import { reactToDamage } from '../found-damage.ts'
import { damageReport, verifyImage } from '../verify-image.ts'

/** `POST /v1/artifacts/{id}/verify`. */
export function verifyRoutes(app: App, context: ArtifactContext): void {
  app.post(
    '/v1/artifacts/:id/verify',
    {
      config: { scope: 'artifacts:read' },
      schema: {
        operationId: 'verifyArtifact',
        tags: ['artifacts'],
        summary: 'Read an ISO image again and check all of it',
        description:
          'Reads the image in full, which takes seconds per gigabyte. Faults are no error of the request: they are in the report, with `ok` false.',
        params: Type.Object({ id: ArtifactId }),
        response: {
          200: {
            description: 'The report.',
            content: { 'application/json': { schema: VerificationReport } },
          },
          ...problemResponses('invalid-parameter', 'artifact-not-found', 'not-an-iso'),
        },
      },
    },
    async (request) => {
      const { store } = inProject(context, request.principal)
      const { id } = request.params
      request.raw.setTimeout(0)
      await using _lease = await leaseFor(request, store, id)
      const stored = await requireArtifact(store, id)
      try {
        return await inHashingTurn(() => verifyImage(store, stored))
      } catch (error) {
        if (!(error instanceof DamagedObject)) throw error
        await reactToDamage(context.stores, request.log, error)
        return damageReport(error)
      }
    },
  )
}
