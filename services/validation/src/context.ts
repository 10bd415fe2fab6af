import type { Mirror } from '@edgesmith/canvos/mirror'
import type { ProjectStores } from '@edgesmith/store/project-stores'
import type { ValidationConfig } from './config.ts'

/** What the validation service's routes work with. */
export type ValidationContext = {
  readonly config: ValidationConfig
  readonly stores: ProjectStores
  readonly canvos: Mirror
  /** Text of the `.arg` file whose arguments every build gets unless its own set them. */
  readonly defaultArgFile: string | undefined
}
