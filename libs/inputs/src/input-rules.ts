import type { Severity } from '@edgesmith/contract/diagnostic'

type Rule = { severity: Severity; rule: string }

const archives = {
  'archive.damaged': { severity: 'error', rule: 'An archive has to be a readable tar.' },
  'archive.truncated': { severity: 'error', rule: 'An archive has to be whole.' },
  'archive.too-many-entries': { severity: 'error', rule: 'An archive has 10,000 entries at the most.' },
  'archive.expands-too-far': {
    severity: 'error',
    rule: 'A compressed archive unpacks to 256 MiB at the most.',
  },
  'archive.absolute-path': { severity: 'error', rule: 'Names in an archive are relative.' },
  'archive.parent-path': { severity: 'error', rule: 'No name in an archive has `..` in it.' },
  'archive.odd-name': {
    severity: 'error',
    rule: 'Names in an archive are of ASCII letters, digits, spaces and `._+@%=:,~^()#[]{}-`; no part begins with `-`. So no quotes, `$()`, line breaks or letters that only look alike.',
  },
  'archive.link': { severity: 'error', rule: 'An archive has no symbolic or hard links.' },
  'archive.device': { severity: 'error', rule: 'An archive has no devices and no FIFOs.' },
  'archive.sparse': { severity: 'error', rule: 'An archive has no sparse files.' },
  'archive.unknown-type': { severity: 'error', rule: 'An archive has files and directories only.' },
  'archive.duplicate': {
    severity: 'error',
    rule: 'No file of an archive replaces another, or is a directory of another.',
  },
  'archive.empty': { severity: 'error', rule: 'An archive has at least one file.' },
  'archive.nested-gzip': { severity: 'error', rule: 'A `.tgz` is compressed once.' },
  'archive.more-faults': {
    severity: 'info',
    rule: 'After 20 faults the rest of an archive is not looked at.',
  },
} as const satisfies Record<string, Rule>

const roles = {
  'content-bundle.wrapped': {
    severity: 'info',
    rule: 'A plain tar is wrapped in a Zstandard frame, byte for byte, because CanvOS picks up `.zst` only.',
  },
  'content-bundle.split': {
    severity: 'info',
    rule: 'CanvOS splits a bundle into parts of 3,000,000,000 bytes.',
  },
  'content-bundle.not-a-tar': {
    severity: 'warning',
    rule: 'What a bundle unpacks to is a tar.',
  },
  'content-bundle.wrong-member': {
    severity: 'error',
    rule: 'Each `content-*/*.zst` in a tar is a Zstandard file.',
  },
  'content-bundle.left-out': {
    severity: 'warning',
    rule: 'Of a tar with `content-*/` directories, only `content-*/*.zst` is used.',
  },
  'cluster-definition.corrupt': { severity: 'error', rule: 'A cluster definition is a whole gzip file.' },
  'cluster-definition.profiles': {
    severity: 'info',
    rule: 'The profiles of a cluster definition are listed.',
  },
  'cluster-definition.no-profiles': {
    severity: 'warning',
    rule: 'A cluster definition holds at least one cluster profile.',
  },
  'public-key.unreadable': {
    severity: 'error',
    rule: 'A public key is PEM or DER, or either in base64.',
  },
  'public-key.private': { severity: 'error', rule: 'A private key is never sent.' },
  'public-key.not-rsa': { severity: 'warning', rule: 'Palette signs with RSA keys.' },
  'public-key.short': { severity: 'warning', rule: 'An RSA key has 2048 bits at least.' },
  'edge-custom-config.syntax': { severity: 'error', rule: 'An edge custom configuration is YAML.' },
  'edge-custom-config.missing-key': {
    severity: 'error',
    rule: 'An edge custom configuration has `content.signing.publicKey.base64EncodedValue`.',
  },
  'edge-custom-config.unknown-field': {
    severity: 'warning',
    rule: 'An edge custom configuration has no other fields than `base64EncodedValue` and `description`.',
  },
  'signature.no-key': {
    severity: 'warning',
    rule: 'A signature is verified against the public key of the build.',
  },
  'signature.no-file': { severity: 'error', rule: 'A signature belongs to a file that is sent along.' },
  'signature.mismatch': { severity: 'error', rule: 'A signature fits its file and the public key.' },
  'signature.not-verified': {
    severity: 'warning',
    rule: 'Signatures that need the file to be read again are verified up to 4 GiB, pure Ed25519 up to 64 MiB.',
  },
  'cert.not-pem': { severity: 'error', rule: 'A certificate file is PEM, with one certificate or several.' },
  'cert.unreadable': { severity: 'error', rule: 'Every certificate can be parsed.' },
  'cert.private-key': { severity: 'error', rule: 'A certificate file holds no private key.' },
  'cert.expired': { severity: 'error', rule: 'No certificate has expired.' },
  'cert.expires-soon': { severity: 'warning', rule: 'Certificates are valid for 30 days more.' },
  'cert.not-yet-valid': { severity: 'warning', rule: 'Certificates are valid already.' },
  'secure-boot.path': {
    severity: 'error',
    rule: 'The tar of keys has `secure-boot/enrollment/`, `secure-boot/private-keys/`, `secure-boot/public-keys/` and `secure-boot/exported-keys/` only, with files right in them.',
  },
  'secure-boot.missing': {
    severity: 'error',
    rule: 'The first three of these directories have a file each, among them `db.key`, `tpm2-pcr-private.pem` and `db.pem`.',
  },
  'secure-boot.name-clash': {
    severity: 'error',
    rule: 'CanvOS flattens these directories: no two files have one name.',
  },
  'overlay.path': { severity: 'error', rule: 'An overlay holds paths of the list below only.' },
  'overlay.dockerfile-base': {
    severity: 'warning',
    rule: 'A `Dockerfile` continues from `$BASE`, as the one of CanvOS does.',
  },
  'overlay.image-not-allowed': {
    severity: 'error',
    rule: 'Where the operator lists images (`ALLOWED_IMAGES`), a `Dockerfile` uses those alone.',
  },
  'input.too-large': {
    severity: 'error',
    rule: 'Keys, certificates and configurations have 2 MiB at the most.',
  },
} as const satisfies Record<string, Rule>

/** The rules about the files of a build, but for those on where they are laid (`layoutInputs`). */
export const inputRules = { ...archives, ...roles }

export type InputRule = keyof typeof inputRules
