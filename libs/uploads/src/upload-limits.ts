import type { ObjectStore } from '@edgesmith/store/object-store'

/** What the uploads of several stores may hold together, in bytes. */
export type SharedQuota = { readonly bytes: number; readonly stores: readonly ObjectStore[] }

/** What an upload may be at most. */
export type UploadLimits = {
  /** The largest size taken, in bytes. */
  readonly limitBytes: number
  /** What all uploads may hold together, in bytes; no limit when left out. */
  readonly quotaBytes?: number | undefined
  /** The quota that the store shares with others, such as those of its tenant; none when undefined is answered. */
  readonly sharedQuota?: () => Promise<SharedQuota | undefined>
  /** The largest size of a compressed file's content, in bytes; 512 GiB when left out. */
  readonly expandedLimitBytes?: number
  /** How many times larger than the file its content may be, 200 when left out; the first 64 MiB of it are free. */
  readonly expansionRatio?: number
}

export const defaultExpandedLimitBytes = 512 * 1024 ** 3
export const defaultExpansionRatio = 200
