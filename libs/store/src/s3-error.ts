import { S3Error } from 'minio'

/** True for an error that the S3 server answered with the code. */
export function isS3Error(error: unknown, code: string): boolean {
  return error instanceof S3Error && error.code === code
}
