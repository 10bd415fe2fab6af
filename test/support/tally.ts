import type { TestEvent } from 'node:test/reporters'

/** How many tests passed, failed and were skipped. Suites are not counted. */
export type Tally = { readonly passed: number; readonly failed: number; readonly skipped: number }

export const emptyTally: Tally = { passed: 0, failed: 0, skipped: 0 }

export function addTallies(a: Tally, b: Tally): Tally {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped }
}

/**
 * Counts the tests in the events of one test file. What is not a test and fails counts as a failed
 * one: a file that breaks, a hook of a suite whose tests all passed, and a file without any test.
 */
export function tallyFile(events: readonly TestEvent[]): Tally {
  const tally = { passed: 0, failed: 0, skipped: 0 }
  let somethingFailed = false
  for (const event of events) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    const { data } = event
    if (event.type === 'test:fail') somethingFailed = true
    // Node.js reports the file itself under its path: when it breaks, and when it has no test.
    if (data.details.type === 'suite' || data.name === data.file) continue
    if (data.skip !== undefined || data.todo !== undefined) tally.skipped += 1
    else if (event.type === 'test:fail') tally.failed += 1
    else tally.passed += 1
  }
  const isEmpty = tally.passed + tally.failed + tally.skipped === 0
  if (tally.failed === 0 && (somethingFailed || isEmpty)) tally.failed = 1
  return tally
}

/** The closing line of a test run. */
export function formatTally({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}
