import type { UploadKind } from '@edgesmith/contract/upload'
import { GzipIntegrity } from './gzip-integrity.ts'
import type { UploadLimits } from './upload-limits.ts'
import { ZstdIntegrity } from './zstd-integrity.ts'

/**
 * A check of a compressed file while its bytes pass, in bounded memory. `write` and `end` throw the
 * problem `corrupt-file`, `write` perhaps only after some more bytes.
 */
export type IntegrityCheck = {
  write(bytes: Buffer): Promise<void>
  end(): Promise<void>
  /** To be called when the check is not going to be ended. */
  close(): void
}

/** The check of a kind of file; undefined for kinds that carry nothing to check them by. */
export function integrityCheck(kind: UploadKind, limits: UploadLimits): IntegrityCheck | undefined {
  if (kind === 'zstd') return new ZstdIntegrity(limits)
  if (kind === 'gzip') return new GzipIntegrity(limits)
  return undefined
}
