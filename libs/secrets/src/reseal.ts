import type { ObjectStore } from '@edgesmith/store/object-store'
import { readJson, writeJson } from '@edgesmith/store/json-object'
import { prefixedStore } from '@edgesmith/store/prefixed-store'
import { projectPrefix } from '@edgesmith/store/project-stores'
import { UnsealError, type Keyring } from './keyring.ts'
import { purposeOf, SecretRecord } from './secret-store.ts'

/** What became of the secrets of all projects. */
export type ResealReport = {
  resealed: number
  /** Sealed with the newest key already. */
  current: number
  /** Keys of objects that cannot be unsealed, and why. */
  failed: { key: string; reason: UnsealError['reason'] }[]
}

const secretPattern = /^projects\/(?<tenant>[^/]+)\/(?<project>[^/]+)\/(?<key>secrets\/[^/]+\.json)$/

/** Seals every secret of a whole store with the newest key; what cannot be unsealed stays as it is, and is told. */
export async function resealAll(store: ObjectStore, keyring: Keyring): Promise<ResealReport> {
  const report: ResealReport = { resealed: 0, current: 0, failed: [] }
  for await (const { key } of store.list('projects/')) {
    const { tenant = '', project = '', key: ownKey = '' } = secretPattern.exec(key)?.groups ?? {}
    if (ownKey === '') continue
    const own = prefixedStore(store, projectPrefix({ tenant, project }))
    const record = await readJson(own, ownKey, SecretRecord)
    if (record === undefined) continue
    try {
      const sealed = keyring.reseal(record.sealed, purposeOf({ tenant, project }, record))
      if (sealed === record.sealed) {
        report.current += 1
        continue
      }
      await writeJson(own, ownKey, { ...record, sealed })
      report.resealed += 1
    } catch (error) {
      if (!(error instanceof UnsealError)) throw error
      report.failed.push({ key, reason: error.reason })
    }
  }
  return report
}
