import type Docker from 'dockerode'
import { unlessStatus, viaDocker } from './docker.ts'
import { EngineError } from './engine-error.ts'
import { lookAtMachine, type Machine } from './machine.ts'
import { readOutput } from './output-stream.ts'

/** What the machine behind a Docker has to build with. */
export type WorkerResources = Omit<Machine, 'runtimes'> & {
  /** Bytes of the disk that the cache is on, and those that are free. */
  readonly diskBytes: number
  readonly freeDiskBytes: number
}

/**
 * Measures the machine of a Docker; the disk is that of a directory of a running container.
 * @throws EngineError `docker-unavailable`, or `daemon-lost` when the container cannot tell
 */
export async function measureWorker(
  docker: Docker,
  container: Docker.Container,
  directory: string,
): Promise<WorkerResources> {
  const { architecture, cpus, memoryBytes } = await lookAtMachine(docker)
  return {
    architecture,
    cpus,
    memoryBytes,
    ...(await measureDisk(container, directory)),
  }
}

async function measureDisk(
  container: Docker.Container,
  directory: string,
): Promise<Pick<WorkerResources, 'diskBytes' | 'freeDiskBytes'>> {
  const exec = await viaDocker(() =>
    unlessStatus(
      [404, 409],
      container.exec({ Cmd: ['df', '-kP', directory], AttachStdout: true, AttachStderr: true }),
    ),
  )
  if (exec === undefined) throw new EngineError('daemon-lost', 'The BuildKit daemon does not run.')
  const output: Buffer[] = []
  for await (const piece of readOutput(await exec.start({}))) output.push(piece)
  const text = Buffer.concat(output).toString()
  // POSIX `df -P`: a header, then file system, blocks, used, available, capacity, mount point.
  const [, , blocks, , available] = /\n(\S+) +(\d+) +(\d+) +(\d+)/.exec(text) ?? []
  if (blocks === undefined || available === undefined) {
    throw new EngineError(
      'daemon-lost',
      `The free disk of the BuildKit daemon cannot be read: ${text.trim()}`,
    )
  }
  return { diskBytes: Number(blocks) * 1024, freeDiskBytes: Number(available) * 1024 }
}
