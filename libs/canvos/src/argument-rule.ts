import type { BuildTarget, InputRole } from '@edgesmith/contract/build-spec'
import type { Severity } from '@edgesmith/contract/diagnostic'
import type { KubernetesVersions } from './kubernetes-versions.ts'

/** What a rule between arguments looks at. */
export type RuleContext = {
  tag: string
  target: BuildTarget
  /** True when the user set the argument, even to a value that could not be read. */
  isGiven: (name: string) => boolean
  /**
   * The value in effect: the user's, else the default of the tag, else ''. Undefined when it cannot be
   * known because the user's value has a fault of its own.
   */
  value: (name: string) => string | undefined
  /** The arguments that the tag's Earthfile declares; undefined when it was not read. */
  declares: ((name: string) => boolean) | undefined
  kubernetesVersions: KubernetesVersions | undefined
  isSent: (role: InputRole) => boolean
  /** Names of the build secrets that the build will get. */
  secrets: readonly string[]
}

/** A rule between arguments, or between an argument and the tag or the inputs. */
export type ArgumentRule = {
  code: string
  severity: Severity
  /** The rule in one sentence, for the documentation. */
  rule: string
  /** Where CanvOS or its documentation says so. */
  source: string
  /** The argument at fault and what to do about it; undefined when all is well. */
  check: (context: RuleContext) => { about: string; message: string } | undefined
}

/** True when the argument has a value, by the user or by default. */
export function hasValue(context: RuleContext, name: string): boolean {
  return context.value(name) !== ''
}

export function isTrue(context: RuleContext, name: string): boolean {
  return context.value(name) === 'true'
}
