import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { runCommand } from '../deploy/setup/command.ts'

const runner = `
  import { formatTally } from '${join(import.meta.dirname, 'support/tally.ts')}'
  import { runGroups } from '${join(import.meta.dirname, 'support/run-files.ts')}'
  const [fileTimeoutMs, ...files] = process.argv.slice(2)
  console.log(formatTally(await runGroups([{ files, concurrency: 2, fileTimeoutMs: Number(fileTimeoutMs) }])))
`

describe('the test runner', () => {
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-runner-'))
  })
  after(() => rm(directory, { recursive: true }))

  /** Runs test files of the given sources, and returns the report and its last line. */
  async function run(sources: string[], fileTimeoutMs = 30_000): Promise<{ report: string; tally: string }> {
    const files = await Promise.all(
      sources.map(async (source, index) => {
        const file = join(directory, `${index}.test.ts`)
        await writeFile(file, `import { describe, it, before, after } from 'node:test'\n${source}`)
        return file
      }),
    )
    // Node.js refuses to run test files where this variable says that it is within one.
    const node = ['--unset=NODE_TEST_CONTEXT', process.execPath]
    const script = join(directory, 'run.ts')
    await writeFile(script, runner)
    const report = await runCommand('env', [...node, script, String(fileTimeoutMs), ...files])
    return { report, tally: report.trimEnd().split('\n').at(-1) ?? '' }
  }

  it('counts tests, not suites, over several files', async () => {
    const { tally } = await run([
      `describe('a', () => { describe('b', () => { it('1', () => {}); it('2', () => {}) }) })`,
      `it('3', () => {}); it('4', { skip: true }, () => {}); it('5', () => { throw new Error('no') })`,
    ])
    assert.equal(tally, '3 passed, 1 failed, 1 skipped')
  })

  it('counts what fails outside a test', async () => {
    assert.equal((await run([`throw new Error('broken')`])).tally, '0 passed, 1 failed, 0 skipped')
    const hook = `describe('a', () => { after(() => { throw new Error('no') }); it('1', () => {}) })`
    assert.equal((await run([hook])).tally, '1 passed, 1 failed, 0 skipped')
  })

  it('counts a file without tests as failed', async () => {
    assert.equal((await run([''])).tally, '0 passed, 1 failed, 0 skipped')
  })

  it('ends a file that does not end by itself, and says so', async () => {
    const hanging = `it('hangs', async () => { await new Promise((resolve) => setTimeout(resolve, 600_000)) })`
    const leaking = `it('leaks', () => { setInterval(() => {}, 1000) })`
    const { report, tally } = await run([hanging, leaking], 2000)
    assert.equal(tally, '1 passed, 2 failed, 0 skipped')
    assert.match(report, /did not end within its time limit of 2 s/)
  })
})
