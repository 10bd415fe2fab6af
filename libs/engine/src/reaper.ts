import type Docker from 'dockerode'
import { dockerStatus, unlessStatus, viaDocker } from './docker.ts'
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

/** Time after which nothing made for one build is still in use: no build is given more than a day. */
const staleMs = 2 * 24 * 60 * 60_000

/**
 * Removes what workers that never came back left behind, whatever their names: containers and volumes of
 * builds that were made days ago, daemons that ended days ago, and their networks. Caches are kept.
 */
export function reapStale(docker: Docker, now: Date): Promise<Reaped[]> {
  return viaDocker(async () => {
    const reaped: Reaped[] = []
    const filters = { label: [labelNames.worker] }
    const isStale = (created: number) => now.getTime() - created > staleMs
    for (const { Id, Names, Created, State, Labels } of await docker.listContainers({ all: true, filters })) {
      const serves = State === 'running' && Labels[labelNames.build] === undefined
      if (serves || !isStale(Created * 1000)) continue
      await removeContainer(docker.getContainer(Id))
      reaped.push({ kind: 'container', name: Names[0]?.replace(/^\//, '') ?? Id })
    }
    for (const { Id, Name, Created } of await docker.listNetworks({ filters })) {
      // One that is in use is refused.
      if (!isStale(Date.parse(Created))) continue
      const refused = await unlessRefused(docker.getNetwork(Id).remove())
      if (!refused) reaped.push({ kind: 'network', name: Name })
    }
    const { Volumes: volumes } = await docker.listVolumes({ filters })
    for (const volume of volumes) {
      const { Name, Labels, CreatedAt } = volume as typeof volume & { CreatedAt?: string }
      if (Labels[labelNames.role] === cacheRole || !isStale(Date.parse(CreatedAt ?? ''))) continue
      if (!(await unlessRefused(docker.getVolume(Name).remove()))) reaped.push({ kind: 'volume', name: Name })
    }
    return reaped
  })
}

/** True when Docker refuses, for what is to be removed is in use or gone. */
async function unlessRefused(removal: Promise<unknown>): Promise<boolean> {
  try {
    await removal
    return false
  } catch (error) {
    if (![403, 404, 409].includes(dockerStatus(error) ?? 0)) throw error
    return true
  }
}
