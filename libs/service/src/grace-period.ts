/** How long a service takes at the most to stop, in seconds, where nothing else is configured. */
export const defaultGraceSeconds = 30

/** What is kept of a grace period for closing what the service opened, in milliseconds. */
const closingMs = 5000

/** How long requests that are under way when a service is told to stop may take, in milliseconds. */
export function drainMs(graceSeconds = defaultGraceSeconds): number {
  const graceMs = graceSeconds * 1000
  return graceMs - Math.min(closingMs, graceMs / 2)
}

/** Closes several things at once, and waits for all of them. @throws AggregateError when some cannot be closed */
export async function closeTogether(closings: readonly PromiseLike<void>[]): Promise<void> {
  const results = await Promise.allSettled(closings)
  const reasons = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  )
  if (reasons.length > 0) throw new AggregateError(reasons, 'Not everything could be closed.')
}
