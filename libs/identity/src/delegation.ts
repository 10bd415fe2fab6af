import type { Principal, Scope } from '@edgesmith/contract/access'
import { ProblemError } from '@edgesmith/contract/problem'

/** What a credential is good for: all that matters of it to whoever hands it out. */
export type Powers = {
  readonly tenant: string
  /** The only project it is for. */
  readonly project?: string | undefined
  readonly scopes: readonly Scope[]
  readonly expiresAt?: string | undefined
}

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
 * Nobody hands out more than they have: not a scope, and not a day.
 * @throws ProblemError `forbidden` naming what is too much
 */
export function assertCanGrant(principal: Principal, { scopes, expiresAt }: Powers): void {
  const excess = scopes.filter((scope) => !principal.scopes.includes(scope))
  if (excess.length > 0) {
    throw new ProblemError('forbidden', `These credentials lack the scope ${excess.join(', ')} themselves.`)
  }
  const { expiresAt: end } = principal
  if (end !== undefined && (expiresAt === undefined || Date.parse(expiresAt) > Date.parse(end))) {
    throw new ProblemError('forbidden', `These credentials end at ${end}, and can grant nothing beyond that.`)
  }
}
