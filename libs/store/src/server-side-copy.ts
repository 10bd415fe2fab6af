import type { PartClient, PartTarget } from './part-client.ts'
import { NoSuchObject } from './object-store.ts'
import { planParts, sentPart } from './part-plan.ts'
import type { PlannedPart } from './part-plan.ts'
import { PieceReader, sizeOf } from './pieces.ts'
import type { Piece } from './pieces.ts'
import type { RangeSource } from './range-reader.ts'
import { retrying } from './retry.ts'
import { isS3Error } from './s3-error.ts'

/** Where a joined object goes. */
export type JoinTarget = { bucket: string; key: string; contentType: string }

/**
 * Makes an object of pieces. What lies in the server is copied by the server, but for what is too small
 * for a part of its own. Answers the size, and how many bytes the server copied.
 * @throws NoSuchObject when a piece's object is not there
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
  const { bucket, key, contentType } = target
  const size = sizeOf(pieces)
  const headers = { 'Content-Type': contentType }
  const buffer = Buffer.allocUnsafeSlow(Math.min(size, sentPart))
  const parts = planParts(pieces)
  const [only] = parts
  if (only === undefined || (parts.length === 1 && 'send' in only)) {
    const bytes = await readPieces(source, pieces, buffer)
    await retrying(() => client.putObject(bucket, key, bytes, bytes.length, headers))
    return { size, copied: 0 }
  }
  const uploadId = await retrying(() => client.initiateNewMultipartUpload(bucket, key, headers))
  try {
    const made: { part: number; etag: string }[] = []
    for (const [index, part] of parts.entries()) {
      signal?.throwIfAborted()
      const partTarget = { bucket, key, uploadId, number: index + 1 }
      if ('send' in part) {
        const bytes = await readPieces(source, part.send, buffer)
        made.push({ part: index + 1, etag: await retrying(() => client.sendPart(partTarget, bytes)) })
      } else {
        made.push({ part: index + 1, etag: await retrying(() => copyPart(client, partTarget, part.copy)) })
      }
    }
    await client.completeMultipartUpload(bucket, key, uploadId, made)
  } catch (error) {
    await client.abortMultipartUpload(bucket, key, uploadId)
    throw error
  }
  return { size, copied: parts.reduce((sum, part) => sum + ('copy' in part ? part.copy.length : 0), 0) }
}

type CopiedPart = Extract<PlannedPart, { copy: unknown }>['copy']

/** UploadPartCopy of the S3 API; answers the part's ETag. */
async function copyPart(
  client: PartClient,
  { bucket, key, uploadId, number }: PartTarget,
  { object, offset, length }: CopiedPart,
): Promise<string> {
  const headers = {
    'x-amz-copy-source': `/${bucket}/${object}`,
    'x-amz-copy-source-range': `bytes=${offset}-${offset + length - 1}`,
  }
  try {
    const part = { bucketName: bucket, objectName: key, uploadID: uploadId, partNumber: number, headers }
    return (await client.uploadPart(part)).etag
  } catch (error) {
    if (isS3Error(error, 'NoSuchKey')) throw new NoSuchObject(object, { cause: error })
    throw error
  }
}

async function readPieces(source: RangeSource, pieces: readonly Piece[], into: Buffer): Promise<Buffer> {
  await using reader = new PieceReader(source, pieces)
  return into.subarray(0, await reader.read(into.subarray(0, sizeOf(pieces))))
}
