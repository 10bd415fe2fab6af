import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const prefix = 'edgesmith-checkout-'
/** How often a directory is removed anew that something came into meanwhile. */
const maxRetries = 5
/** Age beyond which no build uses its checkout any more, whichever worker made it, in milliseconds. */
const staleMs = 24 * 60 * 60_000

export type CheckoutPlace = {
  /** The system's own directory for short-lived files when undefined. */
  readonly workDirectory: string | undefined
  readonly workerId: string
}

/** Makes a directory for the working tree of a build, which is gone once the answer is disposed of. */
export async function makeCheckout({
  workDirectory,
  workerId,
}: CheckoutPlace): Promise<AsyncDisposable & { readonly directory: string }> {
  const directory = await mkdtemp(join(workDirectory ?? tmpdir(), `${prefix}${workerId}-`))
  return {
    directory,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true, maxRetries }),
  }
}

/**
 * Removes the checkouts that a worker of this name left when it died, and those that nobody came back for.
 * Answers their paths. To be called before the worker begins to build.
 */
export async function reapCheckouts(
  { workDirectory, workerId }: CheckoutPlace,
  now: Date,
): Promise<string[]> {
  const parent = workDirectory ?? tmpdir()
  const reaped: string[] = []
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue
    const directory = join(parent, name)
    // `mkdtemp` adds six characters.
    const isOwn = name.slice(prefix.length, -7) === workerId && name.at(-7) === '-'
    const found = isOwn ? undefined : await stat(directory).catch(() => undefined)
    const isStale = found !== undefined && now.getTime() - found.mtimeMs > staleMs
    if (!isOwn && !isStale) continue
    await rm(directory, { recursive: true, force: true })
    reaped.push(directory)
  }
  return reaped
}
