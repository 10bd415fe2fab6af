import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'

/** An advisory about packages of the lock file, and why it does no harm here, until when. */
export const Explanation = Type.Object(
  {
    advisory: Type.String({
      pattern: '^GHSA(-[23456789cfghjmpqrvwx]{4}){3}$',
      description: 'Identifier of the advisory.',
    }),
    package: Type.String({ minLength: 1 }),
    reason: Type.String({ minLength: 40, description: 'Why it does no harm here.' }),
    reviewBy: Type.String({ format: 'date', description: 'Day after which the reason no longer counts.' }),
  },
  { additionalProperties: false },
)

export type Explanation = Static<typeof Explanation>

/** An advisory that npm's registry has about a package of the lock file. */
export type Advisory = {
  readonly id: string
  readonly package: string
  readonly severity: string
  readonly title: string
}

/** What `npm audit --json` writes (npm's audit report, version 2). */
const AuditReport = Type.Object({
  auditReportVersion: Type.Literal(2),
  vulnerabilities: Type.Record(
    Type.String(),
    Type.Object({
      via: Type.Array(
        Type.Union([
          Type.String(),
          Type.Object({
            name: Type.String(),
            title: Type.String(),
            url: Type.String(),
            severity: Type.String(),
          }),
        ]),
      ),
    }),
  ),
})

/** The registry does not tell what advisories there are. */
export class NoAdvisories extends Error {
  override name = 'NoAdvisories'
}

/**
 * Asks npm's registry for the advisories about the packages of a directory's lock file.
 * @throws NoAdvisories when it does not answer
 */
export async function askForAdvisories(directory: string, registry?: string): Promise<Advisory[]> {
  const options = registry === undefined ? [] : ['--registry', registry]
  const child = spawn('npm', ['audit', '--json', '--package-lock-only', '--fetch-retries=1', ...options], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  const report = parseJson(output)
  if (!Value.Check(AuditReport, report)) {
    const lastWords = [messageOf(report), ...errors.trim().split('\n')].find((line) => line !== '')
    throw new NoAdvisories(`npm audit has no report: ${lastWords ?? 'it told nothing'}.`)
  }
  const found = new Map<string, Advisory>()
  for (const { via } of Object.values(report.vulnerabilities)) {
    for (const cause of via) {
      // A name alone is that of another package of the report.
      if (typeof cause === 'string') continue
      const id = cause.url.slice(cause.url.lastIndexOf('/') + 1)
      found.set(`${id} ${cause.name}`, {
        id,
        package: cause.name,
        severity: cause.severity,
        title: cause.title,
      })
    }
  }
  return [...found.values()]
}

/** What is wrong with the explanations alone, whatever the registry says: those whose day has passed. */
export function overdue(explanations: readonly Explanation[], today: string): string[] {
  return explanations
    .filter(({ reviewBy }) => reviewBy < today)
    .map(
      ({ advisory, package: name, reviewBy }) => `${advisory} (${name}) was to be looked at by ${reviewBy}`,
    )
}

/** Advisories without an explanation, and explanations without an advisory. */
export function unexplained(advisories: readonly Advisory[], explanations: readonly Explanation[]): string[] {
  const keyOf = (id: string, name: string) => `${id} ${name}`
  const explained = new Set(explanations.map((item) => keyOf(item.advisory, item.package)))
  const told = new Set(advisories.map((item) => keyOf(item.id, item.package)))
  return [
    ...advisories
      .filter((item) => !explained.has(keyOf(item.id, item.package)))
      .map((item) => `${item.id} (${item.package}, ${item.severity}) is not explained: ${item.title}`),
    ...explanations
      .filter((item) => !told.has(keyOf(item.advisory, item.package)))
      .map(
        (item) => `${item.advisory} (${item.package}) is explained, and the registry has no such advisory`,
      ),
  ]
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

function messageOf(report: unknown): string {
  const hasMessage = typeof report === 'object' && report !== null && 'message' in report
  return hasMessage && typeof report.message === 'string' ? report.message : ''
}
