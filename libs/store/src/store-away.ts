import { S3Error } from 'minio'
import { DamagedObject } from './object-store.ts'
import { isTransient, StoreUnavailable } from './retry.ts'

/** How S3 servers say that they cannot serve a request now (S3 API reference, MinIO's `cmd/api-errors.go`). */
const busy =
  /^(InternalError|OperationTimedOut|RequestTimeout|ServiceUnavailable|SlowDown\w*|XMinioServerNotInitialized\w*)$/

/**
 * True when an error says that the object store is away, and nothing of the object it was asked for: what was
 * to be done can be done once it is back. Looks into what an error was caused by, or came upon.
 */
export function isStoreAway(error: unknown): boolean {
  if (error instanceof SuppressedError) return isStoreAway(error.error) || isStoreAway(error.suppressed)
  if (error instanceof AggregateError) return error.errors.some(isStoreAway)
  // The server says that it is busy of what it cannot read.
  if (error instanceof DamagedObject) return false
  if (error instanceof StoreUnavailable || isTransient(error)) return true
  if (error instanceof S3Error) return busy.test(error.code ?? '')
  return error instanceof Error && error.cause !== undefined && isStoreAway(error.cause)
}
