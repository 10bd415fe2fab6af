import { recordKey, removeArtifact } from '@edgesmith/artifacts/artifacts'
import { isLeased } from '@edgesmith/artifacts/lease'
import { archiveKey, removeArchive } from '@edgesmith/builds/build-archive'
import type { BuildRepository } from '@edgesmith/builds/build-repository'
import type { ObjectStore } from '@edgesmith/store/object-store'

/**
 * Deletes an ended build: its record and events, then its artifacts and archive. The bytes of an artifact that
 * is being downloaded, and those that others are made of as well, are left to retention.
 * @throws ProblemError `build-not-found`, `state-conflict` when the build has not ended
 */
export async function deleteBuild(
  { repository, store }: { repository: BuildRepository; store: ObjectStore },
  id: string,
): Promise<void> {
  const build = await repository.remove(id)
  // Should this break off, the build is not taken for one that is still to run.
  await store.remove(archiveKey.accepted(id))
  for (const artifact of build.artifacts) {
    // In this order: a download takes its lease before it reads the record.
    await store.remove(recordKey(artifact.id))
    if (!(await isLeased(store, artifact.id, new Date()))) await removeArtifact(store, artifact.id)
  }
  await removeArchive(store, id)
}
