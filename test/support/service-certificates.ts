import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { certificateDirectory, makeServiceCertificates } from '@edgesmith/certificates/service-certificates'
import type { ServiceName } from '@edgesmith/service/service-name'

const directory = await mkdtemp(join(tmpdir(), 'edgesmith-certificates-'))
process.once('exit', () => {
  rmSync(directory, { recursive: true, force: true })
})
await makeServiceCertificates(directory, { lifetimeMs: 24 * 60 * 60_000 })

/** The `SERVICE_TLS_DIRECTORY` of a service; those of one test process know each other. */
export function tlsDirectoryOf(service: ServiceName): string {
  return certificateDirectory(directory, service)
}
