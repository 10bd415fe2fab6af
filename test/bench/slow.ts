import { runSlowClients } from '../load/slow-clients.ts'
import { ensureSetUp } from './support/ensure-set-up.ts'

/** Clients of each kind, and bytes in a second that each sends or reads. */
export const options = { clients: 200, seconds: 40, bytesPerSecond: 64 * 1024 }

/** Memory of the services while slow uploads, slow downloads and silent event streams hold on to them. */
export async function run(given: typeof options): Promise<Record<string, number>> {
  await ensureSetUp()
  const { faults, memory, ...moved } = await runSlowClients(given)
  for (const fault of faults) console.error(fault)
  if (faults.length > 0) process.exitCode = 1
  const { gateway, artifact } = memory
  return {
    ...given,
    faults: faults.length,
    gatewayBeforeMiB: gateway.before,
    gatewayMostMiB: gateway.most,
    artifactBeforeMiB: artifact.before,
    artifactMostMiB: artifact.most,
    ...moved,
  }
}
