import { integer } from '@edgesmith/service/environment'

const hour = 3600
const day = 24 * hour
const longest = 3650 * day

/** The environment variables of retention, for each service that runs it. */
export const retentionVariables = {
  UPLOAD_UNUSED_SECONDS: integer({
    default: day,
    minimum: hour,
    maximum: longest,
    description: 'Time after its last use at which an upload that nothing refers to is removed, in seconds.',
  }),
  BASE_UNUSED_SECONDS: integer({
    default: 7 * day,
    minimum: hour,
    maximum: longest,
    description:
      'Time for which an image that ISOs are made from is kept though no ISO refers to it any more, in seconds.',
  }),
}

/** How long is kept what nothing refers to, in milliseconds. */
export type RetentionSettings = {
  readonly uploadUnusedMs: number
  readonly baseUnusedMs: number
}

/**
 * Age below which an object that nothing refers to is taken for one that somebody is at work on, in
 * milliseconds. Objects are recorded within minutes after they were stored.
 */
export const orphanMs = day * 1000

/** The settings that the environment gives. */
export function toRetentionSettings(env: {
  readonly UPLOAD_UNUSED_SECONDS: number
  readonly BASE_UNUSED_SECONDS: number
}): RetentionSettings {
  return { uploadUnusedMs: env.UPLOAD_UNUSED_SECONDS * 1000, baseUnusedMs: env.BASE_UNUSED_SECONDS * 1000 }
}
