import type Docker from 'dockerode'
import { unlessStatus, viaDocker } from './docker.ts'
import { labelFilter, labelNames, type Owner, type Role } from './labels.ts'
import { removeContainer } from './removal.ts'

/** One thing that the reaper removed. */
export type Reaped = { readonly kind: 'container' | 'network' | 'volume'; readonly name: string }

const cacheRole: Role = 'cache'

/**
 * Removes what an owner left in Docker, found by its labels: containers, then networks and volumes. The
 * cache of a worker is kept. Answers what was removed; what another removes meanwhile is no error.
 *
 * With a worker's id: everything of that worker, for its start. With a build's id: everything of that
 * build, whichever worker made it, before the build is run again.
 */
export function reap(docker: Docker, owner: Owner | { readonly buildId: string }): Promise<Reaped[]> {
  return viaDocker(() => removeAll(docker, owner))
}

async function removeAll(docker: Docker, owner: Owner | { readonly buildId: string }): Promise<Reaped[]> {
  const filters = labelFilter(owner)
  const reaped: Reaped[] = []
  for (const { Id, Names } of await docker.listContainers({ all: true, filters })) {
    await removeContainer(docker.getContainer(Id))
    reaped.push({ kind: 'container', name: Names[0]?.replace(/^\//, '') ?? Id })
  }
  for (const { Id, Name } of await docker.listNetworks({ filters })) {
    await unlessStatus([404], docker.getNetwork(Id).remove())
    reaped.push({ kind: 'network', name: Name })
  }
  const { Volumes: volumes } = await docker.listVolumes({ filters })
  for (const { Name, Labels } of volumes) {
    if (Labels[labelNames.role] === cacheRole) continue
    await unlessStatus([404], docker.getVolume(Name).remove())
    reaped.push({ kind: 'volume', name: Name })
  }
  return reaped
}
