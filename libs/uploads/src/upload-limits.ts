/** What an upload may be at most. */
export type UploadLimits = {
  /** The largest size taken, in bytes. */
  readonly limitBytes: number
  /** What all uploads may hold together, in bytes; no limit when left out. */
  readonly quotaBytes?: number | undefined
  /** The largest size of a compressed file's content, in bytes; 512 GiB when left out. */
  readonly expandedLimitBytes?: number
  /** How many times larger than the file its content may be, 200 when left out; the first 64 MiB of it are free. */
  readonly expansionRatio?: number
}

export const defaultExpandedLimitBytes = 512 * 1024 ** 3
export const defaultExpansionRatio = 200
