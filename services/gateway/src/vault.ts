import { projectOf } from '@edgesmith/contract/project'
import type { Vault } from '@edgesmith/secrets/secret-store'
import type { ProjectContext } from './context.ts'

/** The secrets of the project that a request acts in. */
export function vaultOf({
  principal,
  store,
  keyring,
}: Pick<ProjectContext, 'principal' | 'store' | 'keyring'>): Vault {
  return { project: projectOf(principal), store, keyring }
}
