import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { documentFile } from '../../openapi/committed-document.ts'
import { fromSetUp } from '../support/environment.ts'
import { operatorKey } from '../support/as-operator.ts'
import type { Seed } from './seed.ts'

/** One run of Schemathesis. */
export type RoundOptions = {
  readonly url: string
  readonly seed: number
  readonly given: Seed
  /** The key of another tenant: `object_level_authorization` asks as it for what the operator sees. */
  readonly strangersKey: string
  /** The phases that run. Those of examples and coverage ask the same each time, whatever the seed. */
  readonly phases: readonly ('examples' | 'coverage' | 'fuzzing' | 'stateful')[]
  /** Test cases for each operation, where a phase makes them at random. */
  readonly maxExamples: number
}

/** What came of it. */
export type Round = {
  readonly seed: number
  /** Requests that were answered, by phase. */
  readonly phases: Readonly<Record<string, number>>
  /** Requests that were answered, by status. */
  readonly statuses: Readonly<Record<string, number>>
  /** Operations that succeeded at least once, each as its method and path. */
  readonly succeeded: ReadonlySet<string>
  /** What Schemathesis holds against the API, and what kept it from its work. */
  readonly failures: number
  /** Its report: each failure has the curl command that shows it. */
  readonly report: string
}

/**
 * Requests at a time. Hypothesis reads Python sources with `ast`, which threads of CPython 3.11 cannot do at once: it
 * fails with `AST constructor recursion depth mismatch` (python/cpython#106905).
 */
const workers = 1

type Report = {
  readonly complete: boolean
  readonly test_cases: { readonly unique_failures: number; readonly errored: number }
  readonly errors: readonly { readonly title: string; readonly count: number }[]
}

/**
 * Runs Schemathesis once against a stack, in a directory of its own.
 * @throws Error with all that it printed when it did not come to its end
 */
export async function runRound(options: RoundOptions): Promise<Round> {
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-schemathesis-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const file = (name: string) => join(directory, name)
  for (const name of ['hooks.py', 'schemathesis.toml']) {
    await copyFile(join(import.meta.dirname, name), file(name))
  }
  const { given, strangersKey, seed, phases, maxExamples } = options
  const dictionaries = {
    projects: given.projects,
    artifacts: given.artifactIds,
    builds: [given.buildId],
    uploads: [given.uploadId],
    etags: ['"0"', '"1"', '"2"'],
  }
  for (const [name, values] of Object.entries(dictionaries)) {
    await writeFile(file(`${name}.txt`), values.map((value) => `${JSON.stringify(value)}\n`).join(''))
  }
  await writeFile(file('identities.json'), JSON.stringify(identities({ operatorKey, strangersKey })), {
    mode: 0o600,
  })
  const requestsFile = file('requests.ndjson')
  await writeFile(requestsFile, '')

  const child = spawn(
    fromSetUp('EDGESMITH_TEST_SCHEMATHESIS'),
    [
      ...['--config-file', 'schemathesis.toml', 'run', documentFile, '--url', options.url, '--no-color'],
      ...['--seed', String(seed), '--phases', phases.join(), '--max-examples', String(maxExamples)],
      ...['--workers', String(workers), '--report', 'json', '--report-json-path', 'report.json'],
    ],
    {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PYTHONPATH: directory,
        EDGESMITH_FUZZ_SEED: JSON.stringify(given),
        EDGESMITH_FUZZ_REQUESTS: requestsFile,
      },
    },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  await once(child, 'close')
  const report = await readReport(file('report.json'))
  if (report?.complete !== true) throw new Error(`Schemathesis did not come to its end:\n${output}`)
  return {
    seed,
    ...count(await readFile(requestsFile, 'utf8')),
    failures:
      report.test_cases.unique_failures + report.errors.reduce((sum, { count: times }) => sum + times, 0),
    report: output,
  }
}

/** Who asks, as Web Fuzzing Commons has it. */
function identities(keys: { operatorKey: string; strangersKey: string }): object {
  const identity = (name: string, key: string) => ({
    name,
    fixedHeaders: [{ name: 'Authorization', value: `Bearer ${key}` }],
  })
  return { auth: [identity('operator', keys.operatorKey), identity('stranger', keys.strangersKey)] }
}

async function readReport(path: string): Promise<Report | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Report
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function count(lines: string): Pick<Round, 'phases' | 'statuses' | 'succeeded'> {
  const phases: Record<string, number> = {}
  const statuses: Record<string, number> = {}
  const succeeded = new Set<string>()
  for (const line of lines.split('\n').slice(0, -1)) {
    const [phase, method, path, status] = JSON.parse(line) as [string, string, string, number]
    phases[phase] = (phases[phase] ?? 0) + 1
    statuses[status] = (statuses[status] ?? 0) + 1
    if (status < 300) succeeded.add(`${method} ${path}`)
  }
  return { phases, statuses, succeeded }
}
