import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { ContentDigest } from './content-digest.ts'
import { InspectedStream } from './inspected-stream.ts'
import type { UploadLimits } from './upload-limits.ts'
import { stagedUpload } from './uploads.ts'
import type { StagedUpload } from './uploads.ts'

/**
 * Reads an object once to find out what `stageUpload` finds out of a stream.
 * @throws ProblemError `corrupt-file`, `digest-mismatch`, `content-too-large`
 */
export async function inspectObject(
  store: ObjectStore,
  key: string,
  limits: UploadLimits,
  expected: readonly ContentDigest[],
): Promise<StagedUpload> {
  const inspected = new InspectedStream(limits, expected)
  await pipeline(await store.get(key), inspected, new Drain())
  return stagedUpload(key, inspected)
}

/** Where bytes go that have been looked at. */
class Drain extends Writable {
  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done()
  }
}
