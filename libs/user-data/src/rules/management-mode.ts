import { legacyBoolean } from '../yaml-version.ts'
import { textAt, valueAt } from '../path.ts'
import { sources, type FieldRule } from '../rule.ts'

/** How a host is managed: by `managementMode`, by the older `installationMode`, else centrally. */
export function managementMode(document: unknown): 'central' | 'local' {
  const mode = textAt(document, ['stylus', 'managementMode'])
  if (mode !== undefined) return mode === 'local' ? 'local' : 'central'
  return textAt(document, ['stylus', 'installationMode']) === 'airgap' ? 'local' : 'central'
}

/** The truth value at a path, words of YAML 1.1 included. */
function isTrue(document: unknown, path: readonly string[]): boolean {
  const value = valueAt(document, path)
  return value === true || legacyBoolean(value) === true
}

/** The field that says the mode, or the nearest place to say it at. */
function modePath(document: unknown): string[] {
  const places = [['stylus', 'managementMode'], ['stylus', 'installationMode'], ['stylus']]
  return places.find((path) => valueAt(document, path) !== undefined) ?? []
}

const conflict: FieldRule = {
  code: 'user-data.mode-conflict',
  severity: 'error',
  summary: '`managementMode` and the deprecated `installationMode` say the same.',
  source: sources.releaseNotes,
  *check(document) {
    const mode = textAt(document, ['stylus', 'managementMode'])
    const former = textAt(document, ['stylus', 'installationMode'])
    const contradiction =
      (mode === 'local' && former === 'connected') || (mode === 'central' && former === 'airgap')
    if (!contradiction) return
    const message = `installationMode ${former} contradicts managementMode ${mode}. Remove installationMode.`
    yield { path: ['stylus', 'installationMode'], message }
  },
}

const publicKey: FieldRule = {
  code: 'user-data.public-key-mode',
  severity: 'error',
  summary: 'A public key is embedded only in installers of hosts without a connection to Palette.',
  source: sources.signedContent,
  *check(document, { embeddedPublicKey }) {
    if (!embeddedPublicKey || managementMode(document) === 'local') return
    const message =
      'A public key is embedded in the installer (EDGE_CUSTOM_CONFIG): set stylus.managementMode to local, or leave the key out.'
    yield { path: modePath(document), message }
  },
}

const trustedBoot: FieldRule = {
  code: 'user-data.trusted-boot-mode',
  severity: 'error',
  summary: 'With Trusted Boot the host is centrally managed.',
  source: sources.trustedBootIso,
  *check(document, surroundings) {
    if (!surroundings.trustedBoot || managementMode(document) === 'central') return
    const message =
      'Trusted Boot (IS_UKI) needs a connection to Palette. Set managementMode to central, or build without IS_UKI.'
    yield { path: modePath(document), message }
  },
}

const twoNode: FieldRule = {
  code: 'user-data.two-node-mode',
  severity: 'error',
  summary: 'Hosts of two-node clusters are centrally managed.',
  source: sources.twoNode,
  *check(document, surroundings) {
    if (!surroundings.twoNode || managementMode(document) === 'central') return
    const message =
      'Two-node clusters (TWO_NODE) need a connection to Palette. Set managementMode to central, or build without TWO_NODE.'
    yield { path: modePath(document), message }
  },
}

const multiNode: FieldRule = {
  code: 'user-data.multi-node-mode',
  severity: 'warning',
  summary: 'Hosts are linked (`enableMultiNode`) in local mode only.',
  source: sources.linkHosts,
  *check(document) {
    const path = ['stylus', 'enableMultiNode']
    if (!isTrue(document, path) || managementMode(document) === 'local') return
    const message =
      'enableMultiNode links locally managed hosts. Set stylus.managementMode to local, or remove enableMultiNode.'
    yield { path, message }
  },
}

const localRegistration: FieldRule = {
  code: 'user-data.local-registration',
  severity: 'warning',
  summary: 'A locally managed host has no registration settings.',
  source: sources.installerReference,
  *check(document) {
    if (managementMode(document) !== 'local') return
    for (const field of ['edgeHostToken', 'registrationURL']) {
      const path = ['stylus', 'site', field]
      if (textAt(document, path) === undefined) continue
      const message = `${field} has no effect: a locally managed host does not register with Palette. Remove it.`
      yield { path, on: 'key', message }
    }
  },
}

/** The rules about central and local management. */
export const managementModeRules: readonly FieldRule[] = [
  conflict,
  publicKey,
  trustedBoot,
  twoNode,
  multiNode,
  localRegistration,
]
