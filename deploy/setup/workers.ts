import { openDocker, unlessStatus } from '@edgesmith/engine/docker'
import { labelFilter, labelNames } from '@edgesmith/engine/labels'
import { reap } from '@edgesmith/engine/reaper'
import { say } from './progress.ts'

/** Removes what one worker made in Docker, its cache too. Nothing of it need be there. */
export async function removeWorker(dockerHost: string, workerId: string): Promise<void> {
  const docker = openDocker({ host: dockerHost })
  for (const { kind, name } of await reap(docker, { workerId })) say(`Removed ${kind} ${name}`)
  const { Volumes: volumes } = await docker.listVolumes({ filters: labelFilter({ workerId }) })
  for (const { Name: name } of volumes) {
    await unlessStatus([404], docker.getVolume(name).remove())
    say(`Removed volume ${name}`)
  }
}

/** Removes what all workers on this machine made in Docker, running ones included. */
export async function removeWorkers(dockerHost: string): Promise<void> {
  const docker = openDocker({ host: dockerHost })
  const filters = { label: [labelNames.worker] }
  const containers = await docker.listContainers({ all: true, filters })
  const networks = await docker.listNetworks({ filters })
  const { Volumes: volumes } = await docker.listVolumes({ filters })
  const labels: (Record<string, string> | undefined)[] = [...containers, ...networks, ...volumes].map(
    ({ Labels }) => Labels,
  )
  const workerIds = new Set(
    labels.map((label) => label?.[labelNames.worker]).filter((id) => id !== undefined),
  )
  for (const workerId of workerIds) await removeWorker(dockerHost, workerId)
}
