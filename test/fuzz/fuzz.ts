import { runRound } from './round.ts'
import { makeSeed, makeTenants } from './seed.ts'
import { startStackUnderTest } from './stack-under-test.ts'

export type FuzzOptions = {
  /** Requests that are answered at the least. */
  readonly requests: number
  /** Seed of the first round; each further one has the next. */
  readonly seed: number
  /** Test cases for each operation and round, where a phase makes them at random. */
  readonly maxExamples: number
  /** Gets what happens, line by line: a line of JSON for each round, before it the report of one with failures. */
  readonly tell: (line: string) => void
}

export type FuzzResult = {
  readonly requests: number
  readonly failures: number
  /** Answers with a status of 500 or more, by the logs of all services. */
  readonly serverErrors: number
}

/** Has Schemathesis ask a stack until it has answered so many requests. */
export async function fuzz({ requests, seed, maxExamples, tell }: FuzzOptions): Promise<FuzzResult> {
  await using stack = await startStackUnderTest()
  const { url } = stack
  const { strangersKey } = await makeTenants(url)
  const result = { requests: 0, failures: 0 }
  for (let round = 0; result.requests < requests; round += 1) {
    // What a round was given may be deleted in it.
    const given = await makeSeed(url)
    // The first two phases ask the same whatever the seed.
    const phases = round === 0 ? (['examples', 'coverage'] as const) : []
    const { report, succeeded, ...came } = await runRound({
      ...{ url, given, strangersKey, maxExamples, seed: seed + round },
      phases: [...phases, 'fuzzing', 'stateful'],
    })
    if (came.failures > 0) tell(report)
    tell(JSON.stringify({ ...came, operationsThatSucceeded: succeeded.size }))
    result.requests += Object.values(came.phases).reduce((sum, count) => sum + count, 0)
    result.failures += came.failures
  }
  const { answered, serverErrors } = await stack.served()
  for (const line of serverErrors) tell(line)
  tell(JSON.stringify({ answeredByGateway: answered, serverErrors: serverErrors.length }))
  return { ...result, serverErrors: serverErrors.length }
}
