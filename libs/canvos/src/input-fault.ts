import type { InputRole } from '@edgesmith/contract/build-spec'
import type { Diagnostic, Severity } from '@edgesmith/contract/diagnostic'
import type { UploadKind } from '@edgesmith/contract/upload'
import { isAtLeast } from './tag.ts'
import type { WorkspaceInput } from './workspace.ts'

/** The rules about where inputs are laid. */
export const layoutRules = {
  'content-bundle.wrong-kind': {
    severity: 'error',
    rule: 'A content bundle is a Zstandard file, or a plain tar. ISO images and gzip files are not taken.',
  },
  'content-bundle.name-clash': {
    severity: 'error',
    rule: 'No two content bundles have one name, those in tars of `content-*/` included.',
  },
  'cluster-definition.wrong-kind': { severity: 'error', rule: 'A cluster definition is a `.tgz`.' },
  'local-ui.wrong-kind': { severity: 'error', rule: '`local-ui.tar` is an uncompressed tar.' },
  'secure-boot.wrong-kind': { severity: 'error', rule: 'Secure Boot keys come as an uncompressed tar.' },
  'secure-boot.unused': { severity: 'warning', rule: 'Secure Boot keys are for builds with `IS_UKI=true`.' },
  'overlay.wrong-kind': { severity: 'error', rule: 'An overlay is an uncompressed tar.' },
  'cert.name-clash': { severity: 'error', rule: 'No two certificate files have one name.' },
  'cert.one-only': { severity: 'error', rule: 'Tags before v4.5.11 take one certificate file.' },
  'public-key.twice': {
    severity: 'error',
    rule: 'A build has a public key or an edge custom configuration, not both.',
  },
  'input.not-in-tag': {
    severity: 'error',
    rule: 'The tag takes the input: content bundles from v3.4.3 on, cluster definitions from v4.2.3, Secure Boot keys from v4.4.2, public keys and `local-ui.tar` from v4.4.4.',
  },
} as const satisfies Record<string, { severity: Severity; rule: string }>

export type LayoutRule = keyof typeof layoutRules

/** The kinds that a role takes, and what to do about another. Other roles are judged by their content. */
const kindsOfRole: Partial<
  Record<InputRole, { code: LayoutRule; kinds: UploadKind[]; advice: (kind: string) => string }>
> = {
  localUi: {
    code: 'local-ui.wrong-kind',
    kinds: ['tar'],
    advice: () => 'CanvOS unpacks local-ui.tar as a plain tar. Send it uncompressed.',
  },
  clusterDefinition: {
    code: 'cluster-definition.wrong-kind',
    kinds: ['gzip'],
    advice: () => 'A cluster definition is a .tgz as Palette exports it. Send that file unchanged.',
  },
  contentBundle: { code: 'content-bundle.wrong-kind', kinds: ['zstd', 'tar'], advice: bundleAdvice },
  secureBoot: {
    code: 'secure-boot.wrong-kind',
    kinds: ['tar'],
    advice: () => 'Send the keys as a plain tar, made with: tar -cf secure-boot.tar secure-boot.',
  },
  overlay: {
    code: 'overlay.wrong-kind',
    kinds: ['tar'],
    advice: () => 'Send the overlay as a plain tar, made with: tar -cf overlay.tar Dockerfile overlay.',
  },
}

function bundleAdvice(kind: string): string {
  if (kind === 'iso9660')
    return 'A content bundle cannot be an ISO image here. Build the bundle in the ZST format.'
  if (kind === 'gzip')
    return 'CanvOS picks up Zstandard files only and would leave this gzip out without a word. Unpack it (gunzip) and send the tar, or build the bundle in the ZST format.'
  return 'CanvOS picks up Zstandard files only and would leave this file out without a word. Build the bundle in the ZST format.'
}

/** The fault of an input whose bytes are of a kind that its role does not take. */
export function wrongKind(input: WorkspaceInput): Diagnostic[] {
  const taken = kindsOfRole[input.role]
  if (taken === undefined || taken.kinds.some((kind) => kind === input.kind)) return []
  return [fault(input, taken.code, taken.advice(input.kind))]
}

/** The first tag that takes an input; earlier ones leave it out without a word (CanvOS `Earthfile`). */
const firstTagWith: Partial<Record<InputRole, string>> = {
  contentBundle: '3.4.3',
  clusterDefinition: '4.2.3',
  secureBoot: '4.4.2',
  publicKey: '4.4.4',
  edgeCustomConfig: '4.4.4',
  localUi: '4.4.4',
}

/** The fault of an input that the tag does not take. */
export function notInTag(input: WorkspaceInput, tag: string): Diagnostic[] {
  const first = firstTagWith[input.role]
  if (first === undefined || isAtLeast(tag, first)) return []
  const message = `CanvOS ${tag} does not take this input and would leave it out without a word. It is taken from v${first} on: build a newer tag, or do not send it.`
  return [fault(input, 'input.not-in-tag', message)]
}

/** A diagnostic about an input; `docs/inputs.md` explains its code. */
export function fault(
  { role, pointer, fileName }: WorkspaceInput,
  code: LayoutRule,
  message: string,
): Diagnostic {
  return {
    severity: layoutRules[code].severity,
    code,
    message,
    source: role,
    pointer,
    ...(fileName === undefined ? {} : { fileName }),
    documentation: `docs/inputs.md#${code.replace('.', '-')}`,
  }
}
