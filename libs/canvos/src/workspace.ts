import type { InputRole } from '@edgesmith/contract/build-spec'
import type { Diagnostic, DiagnosticSource } from '@edgesmith/contract/diagnostic'
import type { UploadKind } from '@edgesmith/contract/upload'
import { isAtLeast } from './tag.ts'

/** What the layout needs to know of an input; whatever else it has comes along in `source`. */
export type WorkspaceInput = {
  role: InputRole
  /** JSON Pointer to the input within the build spec. */
  pointer: string
  /** What the content is, told by its bytes (`UploadKind`). */
  kind: string
  fileName?: string | undefined
}

export type WorkspaceLayout<Input extends WorkspaceInput> = {
  /** The files to lay into the checkout, each with its path relative to the root of CanvOS. */
  files: { path: string; source: Input }[]
  /** The arguments for the build, with those that name the files. */
  arguments: Record<string, string>
  diagnostics: Diagnostic[]
}

/**
 * Says where each input of a build goes in the CanvOS tree of a tag, and what the arguments that name
 * the files have to be. The `.arg` file is not among the files: it is written anew from the arguments
 * (`writeArgFile`). All of the paths are ones that CanvOS's own `.gitignore` keeps free for these files,
 * or carry an ending that no file of CanvOS has, so that nothing of the checkout is replaced.
 *
 * Sources: CanvOS `Earthfile` (`COPY --if-exists …` in `+build-iso`, `+build-uki-iso`, `+base-image`)
 * and `Dockerfile`; documentation "Build Installer ISO".
 */
export function layoutInputs<Input extends WorkspaceInput>(build: {
  tag: string
  inputs: readonly Input[]
  arguments: Readonly<Record<string, string>>
}): WorkspaceLayout<Input> {
  const files: WorkspaceLayout<Input>['files'] = []
  const diagnostics: Diagnostic[] = []
  const set = new Map(Object.entries(build.arguments))
  const of = (role: InputRole) => build.inputs.filter((input) => input.role === role)

  const place = (source: Input, path: string) => {
    files.push({ path, source })
  }
  for (const input of of('userData')) place(input, 'user-data')
  for (const input of of('localUi')) {
    diagnostics.push(
      ...wrongKind(
        input,
        ['tar'],
        'localUi',
        'CanvOS unpacks local-ui.tar as a plain tar. Send it uncompressed.',
      ),
    )
    place(input, 'local-ui.tar')
  }
  for (const input of of('edgeCustomConfig')) {
    place(input, edgeCustomConfigPath)
    set.set('EDGE_CUSTOM_CONFIG', edgeCustomConfigPath)
  }
  for (const input of of('clusterDefinition')) {
    diagnostics.push(
      ...wrongKind(
        input,
        ['gzip'],
        'clusterDefinition',
        'A cluster definition is a .tgz as Palette exports it. Send that file unchanged.',
      ),
    )
    const path = withEnding(input.fileName ?? 'cluster-definition', '.tgz', ['.tar.gz'])
    place(input, path)
    set.set('CLUSTERCONFIG', path)
  }
  const bundles = of('contentBundle')
  diagnostics.push(
    ...bundles.flatMap((input) => wrongKind(input, ['zstd'], 'contentBundle', bundleAdvice(input.kind))),
  )
  const named = bundles.map((source, index) => ({ source, name: bundleName(source, index, bundles.length) }))
  diagnostics.push(
    ...clashes(
      named,
      'contentBundle',
      'CanvOS flattens the content directories, so one would replace the other. Give one of them another fileName.',
    ),
  )
  for (const [index, { source, name }] of named.entries()) place(source, `content-${index + 1}/${name}`)

  const certs = of('cert')
  if (isAtLeast(build.tag, firstTagWithCertsDirectory)) {
    const namedCerts = certs.map((source, index) => ({ source, name: certName(source, index, certs.length) }))
    diagnostics.push(
      ...clashes(namedCerts, 'cert', 'One would replace the other. Give one of them another fileName.'),
    )
    for (const { source, name } of namedCerts) place(source, `certs/${name}`)
  } else {
    for (const [index, source] of certs.entries()) {
      if (index > 0) {
        const message = `CanvOS ${build.tag} takes one certificate; several are taken from v${firstTagWithCertsDirectory} on. Put all of them into one PEM file.`
        diagnostics.push({
          severity: 'error',
          code: 'cert.one-only',
          message,
          source: 'cert',
          pointer: source.pointer,
        })
        continue
      }
      place(source, 'sc.crt')
      set.set('PROXY_CERT_PATH', 'sc.crt')
    }
  }
  return { files, arguments: Object.fromEntries(set), diagnostics }
}

/** The Earthfile's own default, so that provider images and ISO agree on it. */
const edgeCustomConfigPath = '.edge-custom-config.yaml'

/** Before that tag, a single certificate is copied from `sc.crt` when PROXY_CERT_PATH is set. */
const firstTagWithCertsDirectory = '4.5.11'

/** A name with that ending, which takes the place of the others. Endings are case-sensitive to CanvOS. */
function withEnding(name: string, ending: string, others: string[] = []): string {
  const replaced = [ending, ...others].find(
    (other) => name.toLowerCase().endsWith(other) && name.length > other.length,
  )
  return `${replaced === undefined ? name : name.slice(0, -replaced.length)}${ending}`
}

/** CanvOS looks for `content-*/ /*.zst` and nothing else. */
function bundleName(input: WorkspaceInput, index: number, count: number): string {
  return withEnding(input.fileName ?? `content-bundle${count > 1 ? `-${index + 1}` : ''}.tar`, '.zst')
}

/** Ubuntu's update-ca-certificates reads `.crt` files only (CanvOS `Dockerfile`). */
function certName(input: WorkspaceInput, index: number, count: number): string {
  return withEnding(input.fileName ?? `certificate${count > 1 ? `-${index + 1}` : ''}`, '.crt', [
    '.pem',
    '.cer',
  ])
}

function bundleAdvice(kind: string): string {
  if (kind === 'iso9660')
    return 'A content bundle cannot be an ISO image here. Build the bundle in the ZST format.'
  if (kind === 'tar')
    return 'CanvOS picks up Zstandard files only and would leave this tar out without a word. Compress it first: zstd bundle.tar.'
  return 'CanvOS picks up Zstandard files only and would leave this file out without a word. Build the bundle in the ZST format.'
}

function wrongKind(
  input: WorkspaceInput,
  kinds: UploadKind[],
  source: DiagnosticSource,
  message: string,
): Diagnostic[] {
  if (kinds.some((kind) => kind === input.kind)) return []
  return [
    {
      severity: 'error',
      code: `${codeOf(source)}.wrong-kind`,
      message,
      source,
      pointer: input.pointer,
      ...fileNameOf(input),
    },
  ]
}

function clashes(
  named: readonly { source: WorkspaceInput; name: string }[],
  source: DiagnosticSource,
  advice: string,
): Diagnostic[] {
  return named.flatMap(({ source: input, name }, index) => {
    const first = named.findIndex((other) => other.name === name)
    if (first === index) return []
    const message = `Two files would have the name ${name}. ${advice}`
    return [
      {
        severity: 'error',
        code: `${codeOf(source)}.name-clash`,
        message,
        source,
        pointer: input.pointer,
        ...fileNameOf(input),
      },
    ]
  })
}

function fileNameOf(input: WorkspaceInput): { fileName?: string } {
  return input.fileName === undefined ? {} : { fileName: input.fileName }
}

/** A source as the first word of its codes: `contentBundle` → `content-bundle`. */
function codeOf(source: DiagnosticSource): string {
  return source.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
