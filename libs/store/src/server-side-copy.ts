import { DamageJudge } from './damage-judge.ts'
import { abortUpload, uploadBytes } from './multipart-upload.ts'
import { NoSuchObject } from './object-store.ts'
import type { PartClient, PartTarget } from './part-client.ts'
import { planParts, sentPart } from './part-plan.ts'
import type { PlannedPart } from './part-plan.ts'
import { PieceReader, sizeOf } from './pieces.ts'
import type { Piece } from './pieces.ts'
import type { RangeSource } from './range-reader.ts'
import { retrying, type Patience } from './retry.ts'
import { isS3Error } from './s3-error.ts'

/** Where a joined object goes. */
export type JoinTarget = { bucket: string; key: string; contentType: string; patience: Patience }

/**
 * Makes an object of pieces. What lies in the server is copied by the server, but for what is too small
 * for a part of its own. Answers the size, and how many bytes the server copied.
 * @throws NoSuchObject when a piece's object is not there; DamagedObject
 */
export async function joinOnServer(
  client: PartClient,
  target: JoinTarget,
  {
    source,
    pieces,
    signal,
  }: { source: RangeSource; pieces: readonly Piece[]; signal: AbortSignal | undefined },
): Promise<{ size: number; copied: number }> {
  const { bucket, key, contentType, patience } = target
  const size = sizeOf(pieces)
  const headers = { 'Content-Type': contentType }
  const buffer = Buffer.allocUnsafeSlow(Math.min(size, sentPart))
  const parts = planParts(pieces)
  const [only] = parts
  if (only === undefined || (parts.length === 1 && 'send' in only)) {
    const bytes = await readPieces(source, pieces, buffer)
    await uploadBytes(client, { bucket, key, headers, patience }, bytes)
    return { size, copied: 0 }
  }
  const uploadId = await retrying(patience, () =>
    client.initiateNewMultipartUpload(bucket, key, { ...headers }),
  )
  try {
    const made: { part: number; etag: string }[] = []
    for (const [index, part] of parts.entries()) {
      signal?.throwIfAborted()
      const partTarget = { bucket, key, uploadId, number: index + 1 }
      if ('send' in part) {
        const bytes = await readPieces(source, part.send, buffer)
        const etag = await retrying(patience, () => client.sendPart(partTarget, bytes))
        made.push({ part: index + 1, etag })
      } else {
        const etag = await copyPart(client, partTarget, { ...part.copy, patience })
        made.push({ part: index + 1, etag })
      }
    }
    await retrying(patience, () => client.completeParts({ bucket, key, uploadId }, made))
  } catch (error) {
    await abortUpload(client, { bucket, key, uploadId }, patience)
    throw error
  }
  return { size, copied: parts.reduce((sum, part) => sum + ('copy' in part ? part.copy.length : 0), 0) }
}

type CopiedPart = Extract<PlannedPart, { copy: unknown }>['copy']

/** UploadPartCopy of the S3 API; answers the part's ETag. @throws NoSuchObject, DamagedObject */
async function copyPart(
  client: PartClient,
  { bucket, key, uploadId, number }: PartTarget,
  { object, offset, length, patience }: CopiedPart & { patience: Patience },
): Promise<string> {
  const headers = {
    'x-amz-copy-source': `/${bucket}/${object}`,
    'x-amz-copy-source-range': `bytes=${offset}-${offset + length - 1}`,
  }
  const judge = new DamageJudge(client, { bucket, key: object })
  try {
    return await retrying(patience, async () => {
      // The minio client adds to the headers that it is given.
      const part = { bucketName: bucket, objectName: key, uploadID: uploadId, partNumber: number }
      return (await judge.opening(offset, client.uploadPart({ ...part, headers: { ...headers } }))).etag
    })
  } catch (error) {
    if (isS3Error(error, 'NoSuchKey')) throw new NoSuchObject(object, { cause: error })
    throw error
  }
}

async function readPieces(source: RangeSource, pieces: readonly Piece[], into: Buffer): Promise<Buffer> {
  await using reader = new PieceReader(source, pieces)
  return into.subarray(0, await reader.read(into.subarray(0, sizeOf(pieces))))
}
