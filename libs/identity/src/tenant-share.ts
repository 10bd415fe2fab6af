import type { Tenants } from './tenants.ts'

/**
 * Tells a tenant's share of the workers: its weight, and how many of its builds may run at a time. A tenant whose
 * record cannot be read, or is gone, has the least share: what it was promised is still run.
 */
export function tenantShares(
  tenants: Pick<Tenants, 'find'>,
): (id: string) => Promise<{ weight: number; runningBuilds?: number | undefined }> {
  return async (id) => {
    const tenant = await tenants.find(id).catch(() => undefined)
    return { weight: tenant?.weight ?? 1, runningBuilds: tenant?.limits.runningBuilds }
  }
}
