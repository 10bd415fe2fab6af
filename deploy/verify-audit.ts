import { parseArgs } from 'node:util'
import { auditedTenants } from '@edgesmith/audit/compaction'
import { verifyChain } from '@edgesmith/audit/verify-chain'
import { objectStoreVariables, toObjectStoreConfig } from '@edgesmith/service/common-variables'
import { ConfigurationError, readEnvironment } from '@edgesmith/service/environment'
import { openStore } from '@edgesmith/store/open-store'
import { runCommandLine } from './setup/command-line.ts'

/**
 * `npm run verify-audit [-- --tenant TENANT --head SHA256]`: reads the audit records of old days in the object store
 * that the environment names, and tells whether they are as they were written. The head that it prints, kept
 * elsewhere, is what a later run is given.
 */
await runCommandLine('verify-audit', async () => {
  const { values } = parseArgs({ options: { tenant: { type: 'string' }, head: { type: 'string' } } })
  const env = readEnvironment(objectStoreVariables, process.env)
  const faults = [...env.faults]
  const config = toObjectStoreConfig(env, faults)
  if (faults.length > 0) throw new ConfigurationError(faults)
  if (values.head !== undefined && values.tenant === undefined) throw new Error('--head needs --tenant.')
  const store = await openStore(config)
  for (const tenant of values.tenant === undefined ? await auditedTenants(store) : [values.tenant]) {
    const { links, records, head } = await verifyChain(store, tenant, values.head)
    console.log(`${tenant}: ${records} records in ${links} links, head ${head ?? 'none'}`)
  }
  console.log('verify-audit: ok')
})
