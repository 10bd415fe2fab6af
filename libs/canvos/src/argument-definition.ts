import type { BuildTarget, InputRole } from '@edgesmith/contract/build-spec'
import type { ArgumentType } from './argument-types.ts'

/** One documented argument of CanvOS. */
export type ArgumentDefinition = {
  name: string
  type: ArgumentType
  description: string
  /** Where CanvOS or its documentation says so. */
  source: string
  /** What applies without it, where the tag's Earthfile does not say. */
  default?: string
  /** The first tag that has it, and the first that no longer has it. A tag's own Earthfile takes precedence. */
  since?: string
  until?: string
  /**
   * What reads it: an `ARG` before the first target of the Earthfile (`earthfile`), an `ARG` inside of a
   * target (`target`), the script `earthly.sh` (`script`), or nothing (`none`).
   */
  readBy: 'earthfile' | 'target' | 'script' | 'none'
  /** True when an empty value says the same as none. Elsewhere it would replace the default. */
  mayBeEmpty?: boolean
  /** The targets that fail or make unusable images without it. */
  requiredFor?: readonly BuildTarget[]
  /** Why not to use it any more, and what to use in its place. */
  deprecated?: string
  /** Single values that are deprecated or a tech preview, with what to know. */
  deprecatedValues?: Readonly<Record<string, string>>
  previewValues?: Readonly<Record<string, string>>
  /** It has an effect only where another argument has this value. */
  onlyWith?: { name: string; value: string }
  /** It has an effect only on a target of CanvOS that this service does not build. */
  otherTarget?: string
  /** It names a file of the CanvOS tree; the service sets it when that input is sent. */
  setByInput?: InputRole
}
