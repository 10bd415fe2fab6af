import { forgetDamagedBases } from '@edgesmith/bases/base-store'
import { DamagedObject } from '@edgesmith/store/object-store'
import { projectOfKey, type ProjectStores } from '@edgesmith/store/project-stores'
import type { FastifyBaseLogger } from 'fastify'

/**
 * Looks at what a request failed with: of stored bytes that are damaged nothing is to be made any more. Bases of
 * them are forgotten, so that the next build makes a new one.
 */
export async function reactToDamage(
  stores: ProjectStores,
  logger: FastifyBaseLogger,
  error: unknown,
): Promise<void> {
  if (!(error instanceof DamagedObject)) return
  const project = projectOfKey(error.key)
  try {
    const bases = project === undefined ? [] : await forgetDamagedBases(stores.of(project), error)
    logger.error({ object: error.key, bases }, 'Stored bytes are damaged; the bases of them are forgotten.')
  } catch (failure) {
    logger.error({ err: failure, object: error.key }, 'The bases of damaged bytes cannot be forgotten.')
  }
}
