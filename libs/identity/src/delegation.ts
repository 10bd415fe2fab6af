import type { Principal, Role, Scope } from '@edgesmith/contract/access'
import { ProblemError } from '@edgesmith/contract/problem'

/** What a credential is good for: all that matters of it to whoever hands it out. */
export type Powers = {
  readonly tenant: string
  /** The only project it is for. */
  readonly project?: string | undefined
  readonly role: Role
  readonly scopes: readonly Scope[]
  readonly expiresAt?: string | undefined
}

/** Each role may what those before it may. */
const ranks = ['viewer', 'builder', 'admin', 'operator'] as const satisfies readonly Role[]

/**
 * Whether a principal may see and look after a credential: one of its own tenant, of its own project where it
 * is bound to one, or of any tenant for the operator of the service.
 */
export function isWithinReach(
  principal: Principal,
  { tenant, project }: Pick<Powers, 'tenant' | 'project'>,
  operatorScope: 'tenants:read' | 'tenants:write',
): boolean {
  if (principal.scopes.includes(operatorScope) && tenant !== principal.tenant) return true
  return tenant === principal.tenant && (principal.everyProject === true || project === principal.project)
}

/**
 * Nobody takes away what they do not have: neither a role above their own, nor a scope that they lack.
 * @throws ProblemError `forbidden` naming what is too much
 */
export function assertCanRevoke(principal: Principal, { role, scopes }: Powers): void {
  if (ranks.indexOf(role) > ranks.indexOf(principal.role)) {
    throw new ProblemError('forbidden', `These credentials are of a ${principal.role}, and ${role} is more.`)
  }
  const excess = scopes.filter((scope) => !principal.scopes.includes(scope))
  if (excess.length > 0) {
    throw new ProblemError('forbidden', `These credentials lack the scope ${excess.join(', ')} themselves.`)
  }
}

/**
 * Nobody hands out more than they have: no higher role, not a scope, and not a day.
 * @throws ProblemError `forbidden` naming what is too much
 */
export function assertCanGrant(principal: Principal, powers: Powers): void {
  assertCanRevoke(principal, powers)
  const { expiresAt } = powers
  const { expiresAt: end } = principal
  if (end !== undefined && (expiresAt === undefined || Date.parse(expiresAt) > Date.parse(end))) {
    throw new ProblemError('forbidden', `These credentials end at ${end}, and can grant nothing beyond that.`)
  }
}
