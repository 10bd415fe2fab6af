/** Tells the person at the terminal what set-up does. Standard output is left to results. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** A time span as people read it, for example `0.8 s` or `2 min 05 s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`
  const seconds = Math.round(milliseconds / 1000)
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`
}

/** Runs a part of a longer job and says how long it took. */
export async function phase<T>(name: string, run: () => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  const result = await run()
  say(`${name}: ${formatDuration(performance.now() - startedAt)}`)
  return result
}
