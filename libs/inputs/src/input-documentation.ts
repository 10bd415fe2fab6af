import { layoutRules } from '@edgesmith/canvos/input-fault'
import { inputRules } from './input-rules.ts'
import { overlayPaths } from './overlay.ts'

const rules = Object.entries({ ...layoutRules, ...inputRules })

/** The table of the rules whose codes begin so. */
function ruleTable(...beginnings: string[]): string {
  const rows = rules
    .filter(([code]) => beginnings.some((beginning) => code.startsWith(`${beginning}.`)))
    .map(([code, { severity, rule }]) => {
      return `| <a id="${code.replace('.', '-')}"></a>\`${code}\` | ${severity} | ${rule.replaceAll('|', '\\|')} |`
    })
  return ['| code | severity | rule |', '| --- | --- | --- |', ...rows].join('\n')
}

function overlayTable(): string {
  const rows = overlayPaths.map(({ path, reason }) => `| \`${path}\` | ${reason} |`)
  return ['| path | what CanvOS does with it |', '| --- | --- |', ...rows].join('\n')
}

/** The text of `docs/inputs.md`. */
export function inputDocumentation(): string {
  return `# Inputs

The files a build can take, and what is checked of each before it starts. User-data and the \`.arg\` file have
pages of their own: [user-data](user-data.md), [arguments](arguments.md). This page is made from the rules in
the code (\`libs/inputs\`, \`libs/canvos\`).

- Every fault is reported at once. An **error** stops the build; a **warning** and an **info** do not.
- Files are judged where they are stored, by ranges and streams, in bounded memory; none is unpacked to disk.
- A refused request leaves nothing behind.

| field of the spec | form part | what it is | where CanvOS finds it |
| --- | --- | --- | --- |
| \`contentBundles\` | \`contentBundle\`, repeatable | content bundles | \`content-1/\`, \`content-2/\` … |
| \`contentBundleSignatures\` | \`contentBundleSignature\`, repeatable | detached signatures of bundles | verified only |
| \`clusterDefinition\` | \`clusterDefinition\` | a \`.tgz\` from Palette | its root; \`CLUSTERCONFIG\` names it |
| \`clusterDefinitionSignature\` | \`clusterDefinitionSignature\` | a detached signature of it | verified only |
| \`publicKey\` | \`publicKey\` | the key that content is signed with | \`.edge-custom-config.yaml\`, made from it |
| \`edgeCustomConfig\` | \`edgeCustomConfig\` | that file, ready-made | \`.edge-custom-config.yaml\` |
| \`certs\` | \`cert\`, repeatable | certificates for a proxy or a registry | \`certs/\`; \`PROXY_CERT_PATH\` before v4.5.11 |
| \`localUi\` | \`localUi\` | the tar of the Local UI | \`local-ui.tar\` |
| \`secureBoot\` | \`secureBoot\` | a tar of \`secure-boot/\` | \`secure-boot/\` |
| \`overlay\` | \`overlay\` | a tar laid over the CanvOS tree | where its entries say |

## All inputs

${ruleTable('input')}

## Content bundles

Palette's CLI writes a \`.tar.zst\`; CanvOS picks up \`content-*/*.zst\` and nothing else. So each bundle gets a
directory of its own, and the ending \`.zst\` where it lacks it.

- A **plain tar** is wrapped: a Zstandard frame of raw blocks, 14 bytes and 3 more for every 128 KiB. Unpacking
  it gives the tar, byte for byte.
- A **tar of \`content-*/\` directories** is taken apart: each \`content-*/*.zst\` in it is laid by itself.
- CanvOS flattens the directories, renames every bundle \`…_part00\` and splits it at 3,000,000,000 bytes.

Sources: CanvOS \`Earthfile\` (\`+build-iso\`); documentation "Build Content Bundle".

${ruleTable('content-bundle')}

## Cluster definitions

A tar in gzip, as Palette's CLI or API exports it. It is unpacked as a stream, up to 256 MiB. The cluster
profiles in it are listed: in \`clusterDefinition\` of the answer of \`POST /v1/validations\`, and as a diagnostic
of the build. Palette does not document the files inside: JSON files of up to 4 MiB are searched for what its
API calls a cluster profile, an object with \`packs\` and a name; where none is recognized the file passes with
a warning.

Source: documentation "Export Cluster Definition".

${ruleTable('cluster-definition')}

## Public keys

Hosts with an embedded public key take only content that was signed with the private key to it. Send the key
as \`publicKey\`: PEM or DER, or either in base64. The configuration made from it holds the key as PEM (SPKI) in
base64. Or send a configuration of your own as \`edgeCustomConfig\`.

Sources: documentation "Embed a Public Key in Edge Artifacts"; CanvOS \`.edge-custom-config.yaml.template\`.

${ruleTable('public-key', 'edge-custom-config')}

## Signatures

The format in which Palette's CLI signs content is not public, so its own signatures are not looked into. What
can be verified is a detached signature next to the file, raw or in base64, when a public key is sent too:

| key | signature |
| --- | --- |
| RSA | PKCS #1 v1.5 or PSS with SHA-256, over the file: \`openssl dgst -sha256 -sign key.pem -out FILE.sig FILE\` |
| EC | ECDSA with SHA-256, DER or IEEE P1363, over the file: the same command |
| Ed25519 | over the file, up to 64 MiB |
| any of these | over the 32 bytes of the file's SHA-256: as above with \`openssl dgst -sha256 -binary FILE\` as the file |

With one bundle and one signature they belong together. Otherwise a signature is named after its bundle:
\`core.tar.zst.sig\` for \`core.tar.zst\`.

${ruleTable('signature')}

## Certificates

PEM, one certificate or several in a file. On tags before v4.5.11 the one file is named by \`PROXY_CERT_PATH\`.

${ruleTable('cert')}

## Local UI

${ruleTable('local-ui')}

## Secure Boot keys

For Trusted Boot (\`IS_UKI=true\`): a tar of the directory \`secure-boot\` as CanvOS's \`+uki-genkey\` leaves it,
made with \`tar -cf secure-boot.tar secure-boot\`. A build with \`IS_UKI=true\` needs it
([arguments.trusted-boot-keys](arguments.md#rules)). The tar holds private keys: it is stored like any upload, so delete
it when it is no longer needed.

Sources: CanvOS \`Earthfile\` (\`+build-uki-iso\`) and \`README.md\`.

${ruleTable('secure-boot')}

## Overlay

A tar whose files are laid over the CanvOS tree, made with \`tar -cf overlay.tar Dockerfile overlay\`. Of the
mode of a file only the right to execute is kept; empty directories are not laid. It may hold:

${overlayTable()}

Nothing else: not \`Earthfile\`, \`.arg\`, \`.git\` or \`earthly.sh\`, and none of CanvOS's own scripts, versions and
base images, because what is built has to be the tag that the build names, checked against that tag. Files
that have an input of their own (content bundles, cluster definitions, user-data, the edge custom configuration)
are refused in an overlay too: sent as that input they are checked, and proved to be in the ISO.

${ruleTable('overlay')}

## Archives

These hold for every tar here, whether compressed or not. A fault stops the build and none of the tar is used.

${ruleTable('archive')}
`
}
