import { entriesAt, textAt, valueAt } from '../path.ts'
import { sources, type FieldRule } from '../rule.ts'
import { nearestName } from '../suggestion.ts'

/** The features of the installer reference, "Feature Gates". */
const features = ['UserDataForm', 'DisableWorkerNodeCapReconcile']

const featureGate: FieldRule = {
  code: 'user-data.feature-gate',
  severity: 'warning',
  summary: '`featureGate` lists known features, separated by commas.',
  source: sources.installerReference,
  *check(document) {
    const path = ['stylus', 'featureGate']
    for (const name of textAt(document, path)
      ?.split(',')
      .map((part) => part.trim()) ?? []) {
      if (features.includes(name)) continue
      const nearest = nearestName(name, features)
      const hint = nearest === undefined ? `Known are ${features.join(' and ')}.` : `Did you mean ${nearest}?`
      yield { path, message: `There is no feature ${JSON.stringify(name)}. ${hint}` }
    }
  },
}

const login = ['stylus', 'localUI', 'login'] as const

const loginLimits: FieldRule = {
  code: 'user-data.login-limits',
  severity: 'warning',
  summary: 'Login limits are set while rate limiting is on, and the delay begins before the lockout.',
  source: sources.installerReference,
  *check(document) {
    if (valueAt(document, [...login, 'disableRateLimiting']) === true) {
      for (const [field] of entriesAt(document, login)) {
        if (field === 'disableRateLimiting') continue
        const message = `${field} has no effect while disableRateLimiting is true. Remove one of them.`
        yield { path: [...login, field], on: 'key', message }
      }
      return
    }
    const delay = valueAt(document, [...login, 'attemptsBeforeExponentialDelayStarts']) ?? 3
    const lockout = valueAt(document, [...login, 'maxFailedAttemptsBeforeLockout']) ?? 5
    if (typeof delay !== 'number' || typeof lockout !== 'number' || delay < lockout) return
    if (entriesAt(document, login).length === 0) return
    const message = `Users are locked out after ${lockout} failed logins, before the delay begins after ${delay}. Let the delay begin earlier.`
    yield { path: login, on: 'key', message }
  },
}

const tagSources: FieldRule = {
  code: 'user-data.tag-source',
  severity: 'warning',
  summary: '`tagsFromFile` names its file, and `tagsFromScript` its script.',
  source: sources.installerReference,
  *check(document) {
    for (const [block, field] of [
      ['tagsFromFile', 'fileName'],
      ['tagsFromScript', 'scriptName'],
    ] as const) {
      const path = ['stylus', 'site', block]
      if (entriesAt(document, path).length === 0 || valueAt(document, [...path, field]) !== undefined)
        continue
      yield {
        path,
        on: 'key',
        message: `${block} has no effect without ${field}. Add it, or remove the block.`,
      }
    }
  },
}

/** The rules about other settings of the Palette agent. */
export const agentRules: readonly FieldRule[] = [featureGate, loginLimits, tagSources]
