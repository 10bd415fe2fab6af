import { entriesAt, isMapping, quoted, textAt, valueAt, type Path } from '../path.ts'
import { sources, type FieldRule } from '../rule.ts'
import { managementMode } from './management-mode.ts'

const site = ['stylus', 'site'] as const

const registration: FieldRule = {
  code: 'user-data.registration',
  severity: 'warning',
  summary:
    'A centrally managed host has a registration token (`edgeHostToken`) or a QR code (`registrationURL`).',
  source: sources.prepareUserData,
  *check(document) {
    if (!isMapping(document) || managementMode(document) !== 'central') return
    if (textAt(document, [...site, 'edgeHostToken']) ?? textAt(document, [...site, 'registrationURL'])) return
    const path = [['stylus', 'site'], ['stylus'], []].find((known) => valueAt(document, known) !== undefined)
    const message =
      'The host is centrally managed and has neither stylus.site.edgeHostToken nor stylus.site.registrationURL: it cannot register. Add one of them, give it as site user-data, or set stylus.managementMode to local.'
    yield { path: path ?? [], on: 'key', message }
  },
}

const project: FieldRule = {
  code: 'user-data.project',
  severity: 'info',
  summary: 'A host that registers with a token names its project, unless the token has a default project.',
  source: sources.registration,
  *check(document) {
    if (managementMode(document) !== 'central' || !textAt(document, [...site, 'edgeHostToken'])) return
    if (textAt(document, [...site, 'projectName']) ?? textAt(document, [...site, 'projectUid'])) return
    const message =
      'No project is named: the host registers in the default project of its token. Set stylus.site.projectName if the token has none.'
    yield { path: [...site, 'edgeHostToken'], on: 'key', message }
  },
}

const projectTwice: FieldRule = {
  code: 'user-data.project-twice',
  severity: 'warning',
  summary: 'The project is given by name or by identifier, not by both.',
  source: sources.installerReference,
  *check(document) {
    if (!textAt(document, [...site, 'projectName']) || !textAt(document, [...site, 'projectUid'])) return
    const message = 'projectName and projectUid both name a project. Keep one, so that they cannot disagree.'
    yield { path: [...site, 'projectUid'], on: 'key', message }
  },
}

const endpoint: FieldRule = {
  code: 'user-data.palette-endpoint',
  severity: 'warning',
  summary: 'A host that registers names the Palette endpoint, as a host name without a scheme.',
  source: sources.prepareUserData,
  *check(document) {
    const value = textAt(document, [...site, 'paletteEndpoint'])
    if (value === undefined) {
      const registers = ['edgeHostToken', 'registrationURL'].some((field) =>
        textAt(document, [...site, field]),
      )
      if (!registers || managementMode(document) !== 'central') return
      const message =
        'stylus.site.paletteEndpoint is missing. Name the Palette instance the host registers with, such as api.spectrocloud.com.'
      yield { path: site, on: 'key', message }
    } else if (
      !/^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?$/.test(value) &&
      !isPlaceholder(value)
    ) {
      const message = `The Palette endpoint is a host name, such as api.spectrocloud.com; ${JSON.stringify(value)} is not. Leave the scheme and the path out.`
      yield { path: [...site, 'paletteEndpoint'], message }
    }
  },
}

const registrationUrl: FieldRule = {
  code: 'user-data.registration-url',
  severity: 'error',
  summary: 'The registration URL is an absolute HTTP or HTTPS URL.',
  source: sources.registration,
  *check(document) {
    const value = textAt(document, [...site, 'registrationURL'])
    if (value === undefined || isPlaceholder(value)) return
    const url = URL.parse(value)
    if (url !== null && /^https?:$/.test(url.protocol)) return
    const message = `${JSON.stringify(value)} is no URL an operator can open. Write it with its scheme, such as https://register.example.com/.`
    yield { path: [...site, 'registrationURL'], message }
  },
}

const placeholder: FieldRule = {
  code: 'user-data.placeholder',
  severity: 'warning',
  summary: 'Values of templates and examples (`<yourToken>`, `$TOKEN`, `XXXXXX`, `****`) are replaced.',
  source: sources.template,
  *check(document) {
    for (const [key, value] of entriesAt(document, site)) {
      if (typeof value === 'string' && isPlaceholder(value)) {
        const path = [...site, key]
        yield { path, message: placeholderMessage(value, path) }
      }
    }
    for (const [key, value] of entriesAt(document, ['stylus', 'registryCredentials'])) {
      if (typeof value === 'string' && isPlaceholder(value)) {
        const path = ['stylus', 'registryCredentials', key]
        yield { path, message: placeholderMessage(value, path) }
      }
    }
  },
}

function placeholderMessage(value: string, path: Path): string {
  return `${quoted(value, path)} looks like a placeholder. Put the real value in its place.`
}

/** True for a value that stands for one to be filled in. `$random` is a value of its own. */
function isPlaceholder(value: string): boolean {
  if (value === '$random') return false
  return /^(?:<[^<>]+>|\$\{?[A-Za-z_]\w*\}?|[*#]{3,})$/.test(value) || /[xX]{6}/.test(value)
}

/** The rules about how the host registers with Palette. */
export const registrationRules: readonly FieldRule[] = [
  registration,
  project,
  projectTwice,
  endpoint,
  registrationUrl,
  placeholder,
]
