import { sha256Of } from '@edgesmith/artifacts/digest'
import { ArtifactId } from '@edgesmith/contract/identifiers'
import { ProblemError } from '@edgesmith/contract/problem'
import { Envelope, inTotoMediaType, ProvenanceKeyList } from '@edgesmith/contract/provenance'
import { signStatement } from '@edgesmith/provenance/envelope'
import { describeKey } from '@edgesmith/provenance/keys'
import { provenanceStatement } from '@edgesmith/provenance/statement'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { buildOf } from '../build-of.ts'
import { inProject, type ArtifactContext } from '../context.ts'
import { orNotFound, requireArtifact } from '../find-artifact.ts'

/** `GET /v1/artifacts/{id}/provenance` and `GET /v1/provenance-keys`. */
export function provenanceRoutes(app: App, context: ArtifactContext): void {
  const { signer } = context

  app.get(
    '/v1/artifacts/:id/provenance',
    {
      config: { scope: 'artifacts:read' },
      schema: {
        operationId: 'getProvenance',
        tags: ['artifacts'],
        summary: 'Tell how an artifact was made, signed',
        description:
          'SLSA v1 provenance: an in-toto statement in a DSSE envelope, signed with Ed25519. It is the same whenever it is asked for, until the key changes. It names the SHA-256 of the artifact, which is computed first where it is not known.',
        params: Type.Object({ id: ArtifactId }),
        response: {
          200: { description: 'The envelope.', content: { [inTotoMediaType]: { schema: Envelope } } },
          ...problemResponses('invalid-parameter', 'artifact-not-found', 'provenance-unavailable'),
        },
      },
    },
    async (request, reply) => {
      const { store, images } = inProject(context, request.principal)
      const stored = await requireArtifact(store, request.params.id)
      if (signer === undefined) {
        throw new ProblemError(
          'provenance-unavailable',
          'The service has no key to sign it with. Make one with `openssl genpkey -algorithm ed25519`, and name its file in PROVENANCE_KEYS.',
        )
      }
      const build = await buildOf(store, stored)
      if (build?.state !== 'succeeded') {
        throw new ProblemError(
          'provenance-unavailable',
          `The record of the build ${stored.artifact.buildId} is not in the store: the build, or its fleet, has not ended yet.`,
        )
      }
      request.raw.setTimeout(0)
      const sha256 = await orNotFound(sha256Of(store, stored, images))
      const { artifact } = stored
      const statement = provenanceStatement({ artifact, sha256, build, builderId: signer.builderId })
      return reply.type(inTotoMediaType).send(signStatement(statement, signer.key))
    },
  )

  app.get(
    '/v1/provenance-keys',
    {
      config: { scope: 'artifacts:read' },
      schema: {
        operationId: 'listProvenanceKeys',
        tags: ['artifacts'],
        summary: 'List the keys that provenance is verified with',
        response: {
          200: { description: 'The keys.', content: { 'application/json': { schema: ProvenanceKeyList } } },
          ...problemResponses(),
        },
      },
    },
    () => ({ items: signer?.keys.map((key) => describeKey(key, key === signer.key)) ?? [] }),
  )
}
