import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { certifiedServices, makeServiceCertificates } from '@edgesmith/certificates/service-certificates'
import { runCommandLine } from './setup/command-line.ts'

const usage = 'npm run certificates -- [--days DAYS] DIRECTORY'

/**
 * Makes the certificates by which the services know each other, or renews them: one directory for each service, its
 * `SERVICE_TLS_DIRECTORY`. Services that run take them over by themselves.
 */
await runCommandLine('certificates', async () => {
  const { values, positionals } = parseArgs({
    options: { days: { type: 'string', default: '90' } },
    allowPositionals: true,
  })
  const [directory, ...others] = positionals
  const days = Number(values.days)
  if (directory === undefined || others.length > 0 || !Number.isInteger(days) || days < 1) {
    throw new Error(`Use it so: ${usage}`)
  }
  await makeServiceCertificates(directory, { lifetimeMs: days * 24 * 60 * 60_000 })
  console.log(`${resolve(directory)}: certificates of ${certifiedServices.join(', ')} for ${days} days`)
  console.log('certificates: ok')
})
