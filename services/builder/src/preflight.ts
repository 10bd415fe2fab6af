import type { Build } from '@edgesmith/contract/build'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { WorkerResources } from '@edgesmith/engine/worker-resources'

const GB = 1000 ** 3

/** What Spectro Cloud asks of a machine that builds ("Build Installer ISO", prerequisites). */
const documentedMinimum = { cpus: 4, memoryBytes: 8 * GB, diskBytes: 150 * GB }

/**
 * How often the bytes of the inputs lie on the worker's disk at the same time: in the workspace, as
 * BuildKit's context, in the layer of `COPY`, in the parts of `split`, in the image, and in the output.
 */
const inputCopies = 6

/**
 * Judges before a build starts whether its worker can build it: an error stops it, and what is below
 * the documented minimum is a warning, since small builds need less.
 * @param reservedBytes bytes that have to be free besides the inputs: `PREFLIGHT_FREE_BYTES`
 */
export function judgeWorker(
  worker: WorkerResources,
  build: Pick<Build, 'arguments'>,
  inputBytes: number,
  reservedBytes: number,
): Diagnostic[] {
  const diagnostics: Diagnostic[] = []
  const add = (severity: Diagnostic['severity'], code: string, message: string, pointer?: string) => {
    diagnostics.push({
      severity,
      code,
      message,
      source: pointer === undefined ? 'spec' : 'arguments',
      ...(pointer === undefined ? {} : { pointer }),
    })
  }
  const architecture = build.arguments['ARCH']
  if (architecture !== undefined && architecture !== worker.architecture) {
    add(
      'error',
      'worker.architecture',
      `ARCH is ${architecture}, and the worker is ${worker.architecture}. Let a worker of that architecture take the build.`,
      '/arguments/ARCH',
    )
  }
  const neededBytes = reservedBytes + inputCopies * inputBytes
  if (worker.freeDiskBytes < neededBytes) {
    add(
      'error',
      'worker.disk',
      `The worker has ${toGB(worker.freeDiskBytes)} free, and the build needs ${toGB(neededBytes)}: ${toGB(reservedBytes)} and ${inputCopies} times its inputs. Free some of its disk, or lower PREFLIGHT_FREE_BYTES.`,
    )
  }
  if (worker.cpus < documentedMinimum.cpus) {
    add(
      'warning',
      'worker.cpus',
      `The worker has ${worker.cpus} CPUs; ${documentedMinimum.cpus} are recommended.`,
    )
  }
  if (worker.memoryBytes < documentedMinimum.memoryBytes) {
    add(
      'warning',
      'worker.memory',
      `The worker has ${toGB(worker.memoryBytes)} of memory; ${toGB(documentedMinimum.memoryBytes)} are recommended.`,
    )
  }
  if (worker.diskBytes < documentedMinimum.diskBytes) {
    add(
      'warning',
      'worker.storage',
      `The worker's disk has ${toGB(worker.diskBytes)}; ${toGB(documentedMinimum.diskBytes)} are recommended.`,
    )
  }
  return diagnostics
}

function toGB(bytes: number): string {
  return `${(bytes / GB).toFixed(1)} GB`
}
