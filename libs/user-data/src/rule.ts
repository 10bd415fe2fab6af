import type { Severity } from '@edgesmith/contract/diagnostic'
import type { LocatedCertificates } from './certificates.ts'
import type { Path } from './path.ts'

/** One fault a rule found: where it is within the document and what to do about it. */
export type Finding = {
  path: Path
  /** What of the path to point at; by default the value, or its key where the value has no text of its own. */
  on?: 'key' | 'value'
  message: string
}

/** What a rule is called, how grave its findings are, and which document or file it follows. */
export type RuleDescription = {
  code: `user-data.${string}`
  severity: Severity
  /** One sentence: what the rule asks for. The same sentence stands in `docs/user-data.md`. */
  summary: string
  /** The page or file that the rule follows. The same text stands in `docs/user-data.md`. */
  source: string
}

/** What a rule may know besides the document itself. */
export type Surroundings = {
  /** A public key is embedded in the installer (`EDGE_CUSTOM_CONFIG`). */
  embeddedPublicKey: boolean
  /** The installer is built for Trusted Boot (`IS_UKI`). */
  trustedBoot: boolean
  /** The provider images are built for two-node clusters (`TWO_NODE`). */
  twoNode: boolean
  /** The certificates of the document, parsed. */
  certificates: readonly LocatedCertificates[]
  /** The instant certificates are judged at. */
  now: Date
}

/** A rule about the values of a document, or about several of its fields together. */
export type FieldRule = RuleDescription & {
  /** Pure: reads the parsed document and answers what is wrong. Ill-typed values are left to the schema. */
  check: (document: unknown, surroundings: Surroundings) => Iterable<Finding>
}

/** The pages and files rules follow, named once. Paths are those of `spectrocloud/librarium`, below `docs/docs-content/`. */
export const sources = {
  installerReference: 'librarium: clusters/edge/edge-configuration/installer-reference.md',
  cloudInitStages: 'librarium: clusters/edge/edge-configuration/cloud-init.md',
  sensitiveUserData: 'librarium: clusters/edge/edge-configuration/skip-copying-stages.md',
  prepareUserData: 'librarium: clusters/edge/edgeforge-workflow/prepare-user-data.md',
  validateUserData: 'librarium: clusters/edge/edgeforge-workflow/validate-user-data.md',
  signedContent: 'librarium: clusters/edge/edgeforge-workflow/palette-canvos/signed-content.md',
  registration: 'librarium: clusters/edge/site-deployment/site-installation/edge-host-registration.md',
  linkHosts: 'librarium: clusters/edge/local-ui/cluster-management/link-hosts.md',
  overlayNetwork: 'librarium: clusters/edge/networking/vxlan-overlay.md',
  trustedBootIso: 'librarium: clusters/edge/trusted-boot/edgeforge/build-trusted-iso.md',
  twoNode: 'librarium: clusters/edge/architecture/two-node.md',
  releaseNotes: 'librarium: release-notes/release-notes.md',
  template: 'CanvOS: user-data.template',
  kairosConfiguration: 'Kairos: reference/configuration',
  kairosCollector: 'Kairos: kairos-sdk collector/collector.go',
  yip: 'Kairos: yip pkg/schema/schema.go',
  yaml: 'YAML 1.2.2 and YAML 1.1 specifications',
  linux: 'Linux: include/uapi/linux/if.h (IFNAMSIZ)',
} as const
