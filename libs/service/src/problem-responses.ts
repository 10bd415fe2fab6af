import { Problem, problems, type ProblemCode } from '@edgesmith/contract/problem'
import type { TSchema } from 'typebox'

type ProblemResponse = { description: string; content: { 'application/problem+json': { schema: TSchema } } }

const everywhere = [
  'unauthorized',
  'forbidden',
  'project-not-found',
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
        { description: titles.join(' '), content: { 'application/problem+json': { schema: Problem } } },
      ]),
  )
}
