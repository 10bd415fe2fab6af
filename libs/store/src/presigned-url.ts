import { Client } from 'minio'
import { minioClientOptions } from './minio-client-options.ts'
import type { MinioSettings } from './minio-store.ts'

export type PresignedGet = {
  /** Where clients reach the MinIO server: the signature speaks for the host too. */
  readonly endpoint: string
  readonly key: string
  /** How long a download can be begun with the URL, in seconds. */
  readonly seconds: number
  /** What the server answers as Content-Type and Content-Disposition. */
  readonly contentType: string
  readonly contentDisposition: string
}

/** MinIO's own signed URL to download an object, which need not exist (AWS Signature Version 4, query parameters). */
export async function presignGet(
  { bucket, ...credentials }: Omit<MinioSettings, 'endpoint'>,
  { endpoint, key, seconds, contentType, contentDisposition }: PresignedGet,
): Promise<string> {
  const client = new Client(minioClientOptions({ ...credentials, endpoint }))
  return client.presignedGetObject(bucket, key, seconds, {
    'response-content-type': contentType,
    'response-content-disposition': contentDisposition,
  })
}
