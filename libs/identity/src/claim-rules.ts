import { Role, Scope } from '@edgesmith/contract/access'
import { ProjectId, TenantId } from '@edgesmith/contract/project'
import type { JWTPayload } from 'jose'
import { Type, type Static } from 'typebox'

const Expected = Type.Union([Type.String({ minLength: 1 }), Type.Boolean(), Type.Number()])

/** Who is let in by which claims of a token, and as what. */
export const ClaimRule = Type.Object(
  {
    when: Type.Record(
      Type.String({ minLength: 1 }),
      Type.Union([Expected, Type.Array(Expected, { minItems: 1 })]),
      {
        minProperties: 1,
        description:
          'Claims and what each has to be: a value, or one of several. A text that ends in `*` stands for all that begin with what is before. Of a claim that is a list one entry has to fit.',
      },
    ),
    tenant: TenantId,
    project: Type.Optional(ProjectId),
    role: Role,
    scopes: Type.Optional(Type.Array(Scope, { minItems: 1, uniqueItems: true })),
  },
  { additionalProperties: false },
)
export type ClaimRule = Static<typeof ClaimRule>

/** The first rule that the claims of a token fit. */
export function findRule(rules: readonly ClaimRule[], claims: JWTPayload): ClaimRule | undefined {
  return rules.find(({ when }) =>
    Object.entries(when).every(([name, expected]) => {
      const actual = Object.hasOwn(claims, name) ? [claims[name]].flat() : []
      return [expected].flat().some((one) => actual.some((value) => fits(value, one)))
    }),
  )
}

function fits(value: unknown, expected: string | number | boolean): boolean {
  if (typeof expected !== 'string' || !expected.endsWith('*')) return value === expected
  return typeof value === 'string' && value.startsWith(expected.slice(0, -1))
}
