import { Readable } from 'node:stream'
import { run } from 'node:test'
import { spec, type TestEvent } from 'node:test/reporters'
import { addTallies, emptyTally, tallyFile, type Tally } from './tally.ts'
import type { TestGroup } from './test-files.ts'

/** Node.js closes each run with its totals; here a run is one file. */
const totals = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/

/**
 * Runs one test file in a process of its own, which is ended at the time limit: also when all its
 * tests are done and something left open keeps the process alive.
 */
async function runFile(file: string, timeoutMs: number): Promise<TestEvent[]> {
  const timeout = new AbortController()
  const timer = setTimeout(() => {
    timeout.abort(new Error(`${file} did not end within its time limit of ${timeoutMs / 1000} s`))
  }, timeoutMs)
  try {
    const stream = run({ files: [file], concurrency: 1, isolation: 'process', signal: timeout.signal })
    return await Array.fromAsync(stream as AsyncIterable<TestEvent>)
  } finally {
    clearTimeout(timer)
  }
}

/** The results of a group's files as they end, so many at a time as the group says. */
async function* runGroup({ files, concurrency, fileTimeoutMs }: TestGroup): AsyncGenerator<TestEvent[]> {
  const waiting = [...files]
  const running = new Map<string, Promise<{ file: string; events: TestEvent[] }>>()
  while (waiting.length > 0 || running.size > 0) {
    while (waiting.length > 0 && running.size < concurrency) {
      const file = waiting.shift() ?? ''
      running.set(
        file,
        runFile(file, fileTimeoutMs).then((events) => ({ file, events })),
      )
    }
    const { file, events } = await Promise.race(running.values())
    running.delete(file)
    yield events
  }
}

/** Runs groups of test files one after the other, with the report on standard output. */
export async function runGroups(groups: readonly TestGroup[]): Promise<Tally> {
  let tally = emptyTally
  async function* report(): AsyncGenerator<TestEvent> {
    for (const group of groups) {
      for await (const events of runGroup(group)) {
        tally = addTallies(tally, tallyFile(events))
        yield* events.filter((event) => event.type !== 'test:diagnostic' || !totals.test(event.data.message))
      }
    }
  }
  for await (const text of Readable.from(report()).compose(new spec())) process.stdout.write(String(text))
  return tally
}
