import type { Artifact } from '@edgesmith/contract/artifact'
import type { Build } from '@edgesmith/contract/build'

/** The ISO that a build made, if it has made one. */
export function isoOf({ artifacts }: Pick<Build, 'artifacts'>): Artifact | undefined {
  return artifacts.find(({ name }) => name.endsWith('.iso'))
}
