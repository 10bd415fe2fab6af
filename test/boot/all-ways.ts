import { bootIso, type Firmware, type Medium } from './qemu.ts'
import type { BootReport } from './report.ts'

/** The ways in which an installer has to boot. */
export const allWays: readonly (readonly [Medium, Firmware])[] = [
  ['cd', 'bios'],
  ['cd', 'uefi'],
  ['usb', 'bios'],
  ['usb', 'uefi'],
]

/** Machines that run side by side: emulation takes a core for each. */
const concurrency = 2

/**
 * Boots an ISO from CD and from a USB stick, with BIOS and with UEFI firmware; what the live system told each
 * time, in the order of `allWays`.
 * @throws AggregateError with an error for each way in which it does not boot, or finds itself booted otherwise
 */
export async function bootInAllWays(iso: string): Promise<BootReport[]> {
  const reports: BootReport[] = []
  const failures: unknown[] = []
  const waiting = [...allWays.entries()]
  const bootNext = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, way] = next
      try {
        reports[index] = await boot(iso, way)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: concurrency }, bootNext))
  if (failures.length > 0) {
    throw new AggregateError(failures, `${iso} fails in ${failures.length} of ${allWays.length} ways to boot`)
  }
  return reports
}

async function boot(iso: string, [medium, firmware]: readonly [Medium, Firmware]): Promise<BootReport> {
  const way = `from ${medium} with ${firmware} firmware`
  const { report } = await bootIso({ iso, medium, firmware }).catch((error: unknown) => {
    throw new Error(`It does not boot ${way}`, { cause: error })
  })
  if (report.firmware !== firmware || report.medium !== (medium === 'cd' ? 'cdrom' : 'usb')) {
    throw new Error(`Booted ${way} it says: ${String(report.medium)}, ${String(report.firmware)}`)
  }
  return report
}
