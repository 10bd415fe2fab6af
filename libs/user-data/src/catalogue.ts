import { agentRules } from './rules/agent.ts'
import { certificateRules } from './rules/certificates.ts'
import { installRules } from './rules/install.ts'
import { interfaceRules } from './rules/interfaces.ts'
import { managementModeRules } from './rules/management-mode.ts'
import { nameRules } from './rules/names.ts'
import { proxyRules } from './rules/proxy.ts'
import { registrationRules } from './rules/registration.ts'
import { registryRules } from './rules/registries.ts'
import { securityRules } from './rules/security.ts'
import { stageRules } from './rules/stages.ts'
import type { FieldRule, RuleDescription } from './rule.ts'
import { shapeRules } from './shape-rules.ts'
import { textRules } from './text.ts'
import { yamlRules } from './yaml-rules.ts'

/** Every rule about values, in the order of the documentation. */
export const fieldRules: readonly FieldRule[] = [
  ...registrationRules,
  ...managementModeRules,
  ...nameRules,
  ...interfaceRules,
  ...proxyRules,
  ...certificateRules,
  ...registryRules,
  ...securityRules,
  ...agentRules,
  ...installRules,
  ...stageRules,
]

/** Every rule there is; `docs/user-data.md` lists the same. */
export const userDataRules: readonly RuleDescription[] = [
  ...textRules,
  ...Object.values(yamlRules),
  ...Object.values(shapeRules),
  ...fieldRules,
]

/** Where a rule is explained: a heading of `docs/user-data.md`. */
export function documentationOf(code: RuleDescription['code']): string {
  return `docs/user-data.md#${code.replace('user-data.', '')}`
}
