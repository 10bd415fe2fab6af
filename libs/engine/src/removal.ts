import type Docker from 'dockerode'
import { dockerStatus, unlessStatus } from './docker.ts'

/** Kills and removes a container with its unnamed volumes, and waits until it is gone. */
export async function removeContainer(container: Docker.Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true })
  } catch (error) {
    if (dockerStatus(error) === 404) return
    // Somebody else removes it already.
    if (dockerStatus(error) !== 409) throw error
    await unlessStatus([404], container.wait({ condition: 'removed' }))
  }
}
