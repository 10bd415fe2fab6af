import { Problem, problems, type ProblemCode } from '@edgesmith/contract/problem'
import type { TSchema } from 'typebox'

type ProblemResponse = {
  description: string
  headers?: Record<string, TSchema>
  content: { 'application/problem+json': { schema: TSchema } }
}

const seconds = { type: 'integer', minimum: 1 } as const

/** What is told with a status besides the problem. */
const headersOf: Readonly<Record<number, Record<string, TSchema>>> = {
  429: { 'Retry-After': { ...seconds, description: 'When to come again, in seconds.' } },
}

const everywhere = [
  'unauthorized',
  'forbidden',
  'project-not-found',
  'too-many-requests',
  'internal',
  'upstream-unavailable',
] as const satisfies ProblemCode[]

/**
 * The `response` schemas of the problems a route can answer, by status; what every route can answer
 * is included.
 */
export function problemResponses(...codes: ProblemCode[]): Record<string, ProblemResponse> {
  const byStatus = new Map<number, string[]>()
  for (const code of [...codes, ...everywhere]) {
    const { status, title } = problems[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), `${title} (\`${code}\`).`])
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, titles]) => [
        String(status),
        {
          description: titles.join(' '),
          ...(headersOf[status] === undefined ? {} : { headers: headersOf[status] }),
          content: { 'application/problem+json': { schema: Problem } },
        },
      ]),
  )
}
