import type { Readable } from 'node:stream'
import type { ClientContainer } from './client-container.ts'
import { unlessStatus } from './docker.ts'
import { EngineError } from './engine-error.ts'
import { readOutput } from './output-stream.ts'

/** How Earthly's client ended. */
export type EarthlyExit = { readonly exitCode: number; readonly outOfMemory: boolean }

export type RunOptions = {
  /** Takes each piece of output; the container is held up until it is done with it. */
  readonly onOutput: (chunk: Buffer) => Promise<void>
  /** Ends the run: the client is killed, and the run rejects with the reason. */
  readonly signal: AbortSignal
  /** Ends the run as well when it settles, with the error it settles with. */
  readonly lost: Promise<EngineError>
}

/**
 * Starts the client's container and waits until it ends and all of its output is taken.
 * @throws the reason of the signal, or EngineError when the daemon or Docker is lost meanwhile
 */
export async function runEarthly(
  client: ClientContainer,
  { onOutput, signal, lost }: RunOptions,
): Promise<EarthlyExit> {
  const { container } = client
  signal.throwIfAborted()
  const stopped = new AbortController()
  let output: Readable | undefined
  try {
    output = await client.start()
    const taken = takeOutput(readOutput(output), async (chunk) => {
      try {
        await onOutput(chunk)
      } catch (error) {
        throw new RefusedOutput(error)
      }
    })
    const ended = container.wait() as Promise<{ StatusCode: number }>
    const interrupted = awaitInterruption(signal, lost, stopped.signal)
    const exit = Promise.all([ended, taken])
    const first = await Promise.race([exit, interrupted])
    if (first instanceof Interruption) {
      // The daemon cancels what a client asked for once its connection is gone.
      await unlessStatus([404, 409], container.kill())
      await Promise.allSettled([exit])
      throw first.reason
    }
    const { State: state } = await container.inspect()
    return { exitCode: first[0].StatusCode, outOfMemory: state.OOMKilled }
  } catch (error) {
    if (error instanceof RefusedOutput) throw error.cause
    signal.throwIfAborted()
    if (error instanceof EngineError) throw error
    throw new EngineError(
      'client-lost',
      `The container of the build was lost: ${error instanceof Error ? error.message.trim() : String(error)}`,
      { cause: error },
    )
  } finally {
    stopped.abort()
    output?.destroy()
  }
}

async function takeOutput(chunks: AsyncIterable<Buffer>, onOutput: RunOptions['onOutput']): Promise<void> {
  for await (const chunk of chunks) await onOutput(chunk)
}

/** Whoever takes the output threw; the cause is what it threw. */
class RefusedOutput extends Error {
  constructor(cause: unknown) {
    super('The output is not taken.', { cause })
  }
}

/** Why a run is to end early. */
class Interruption {
  readonly reason: Error
  constructor(reason: Error) {
    this.reason = reason
  }
}

async function awaitInterruption(
  signal: AbortSignal,
  lost: Promise<EngineError>,
  stopped: AbortSignal,
): Promise<Interruption> {
  const { promise, resolve } = Promise.withResolvers<Interruption>()
  const onAbort = () => {
    const reason: unknown = signal.reason
    resolve(new Interruption(reason instanceof Error ? reason : new Error(String(reason))))
  }
  signal.addEventListener('abort', onAbort, { once: true, signal: stopped })
  if (signal.aborted) onAbort()
  void lost.then((error) => {
    resolve(new Interruption(error))
  })
  return promise
}
