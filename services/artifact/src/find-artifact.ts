import { findArtifact, type StoredArtifact } from '@edgesmith/artifacts/artifacts'
import { leaseArtifact } from '@edgesmith/artifacts/lease'
import type { ArtifactId } from '@edgesmith/contract/identifiers'
import { ProblemError } from '@edgesmith/contract/problem'
import type { Manifest } from '@edgesmith/manifest/manifest'
import { NoSuchObject, type ObjectStore } from '@edgesmith/store/object-store'
import type { FastifyRequest } from 'fastify'

/**
 * Keeps an artifact from being removed while a request reads its bytes. To be taken before the artifact's
 * record is read: who removes artifacts removes the record first and looks for leases after that.
 */
export function leaseFor(
  request: FastifyRequest,
  store: ObjectStore,
  id: ArtifactId,
): Promise<AsyncDisposable> {
  return leaseArtifact(store, id, (err) => {
    request.log.warn({ err }, 'The lease of an artifact could not be renewed.')
  })
}

/** An artifact by its id. @throws ProblemError `artifact-not-found` */
export async function requireArtifact(store: ObjectStore, id: ArtifactId): Promise<StoredArtifact> {
  const stored = await findArtifact(store, id)
  if (stored === undefined) throw new ProblemError('artifact-not-found', `There is no artifact ${id}.`)
  return stored
}

/** The manifest of an artifact that should be an ISO image. @throws ProblemError `not-an-iso` */
export function requireImage({ artifact, content }: StoredArtifact): Manifest {
  if (content.kind === 'manifest' && artifact.mediaType === 'application/x-iso9660-image') {
    return content.manifest
  }
  throw new ProblemError(
    'not-an-iso',
    `${artifact.name} is of the type ${artifact.mediaType}. Only ISO images can be looked into.`,
  )
}

/**
 * Waits for something that reads an artifact's bytes, which can be removed at any time.
 * @throws ProblemError `artifact-not-found`
 */
export async function orNotFound<Result>(reading: Promise<Result>): Promise<Result> {
  try {
    return await reading
  } catch (error) {
    if (!(error instanceof NoSuchObject)) throw error
    throw new ProblemError('artifact-not-found', 'The bytes of the artifact have been removed.', {
      cause: error,
    })
  }
}
