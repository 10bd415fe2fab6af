import { setInterval } from 'node:timers'
import { auditedTenants, compactRecords } from '@edgesmith/audit/compaction'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { FastifyBaseLogger } from 'fastify'

/** How often a worker looks for audit records of old days, in milliseconds. */
const lookMs = 3_600_000

/**
 * Puts the audit records of old days into the chain of their tenant, now and then until it is disposed of. Workers
 * may do so at the same time.
 */
export function keepCompactingAudit(store: ObjectStore, logger: FastifyBaseLogger): AsyncDisposable {
  let stopped = false
  let running = Promise.resolve()
  const compactAll = async () => {
    for (const tenant of await auditedTenants(store)) {
      if (stopped) return
      try {
        const records = await compactRecords(store, tenant)
        if (records > 0) logger.info({ tenant, records }, 'Audit records were put into the chain.')
      } catch (error) {
        logger.error({ err: error, tenant }, 'Audit records cannot be put into the chain.')
      }
    }
  }
  const look = () => {
    running = running.then(compactAll).catch((error: unknown) => {
      logger.error({ err: error }, 'Audit records cannot be listed; it is tried again.')
    })
  }
  look()
  const timer = setInterval(look, lookMs)
  return {
    async [Symbol.asyncDispose]() {
      stopped = true
      clearInterval(timer)
      await running
    },
  }
}
