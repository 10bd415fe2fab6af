import type { InputRole } from '@edgesmith/contract/build-spec'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { fault, notInTag, wrongKind } from './input-fault.ts'
import { isAtLeast } from './tag.ts'

/** A file inside a tar, by where its bytes are within the tar. */
export type ArchiveMember = {
  /** Relative to the root of the tar, without `.` or `..`. */
  path: string
  /** First byte, counted from the beginning of the tar. */
  offset: number
  /** Size in bytes. */
  size: number
  executable: boolean
}

/** What the layout needs to know of an input; whatever else it has comes along in `source`. */
export type WorkspaceInput = {
  role: InputRole
  /** JSON Pointer to the input within the build spec. */
  pointer: string
  /** What the content is, told by its bytes (`UploadKind`). */
  kind: string
  fileName?: string | undefined
  /** The files of a tar that are laid one by one; without them the tar is one file. */
  members?: readonly ArchiveMember[] | undefined
}

/** One file to lay into the checkout. */
export type LaidFile<Input extends WorkspaceInput> = {
  /** Relative to the root of CanvOS. */
  path: string
  source: Input
  /** The part of the source that is the file, in bytes; the whole of it when left out. */
  range?: { offset: number; length: number }
  /**
   * What the source is turned into: a Zstandard frame that holds it uncompressed, or the edge custom
   * configuration that embeds it as the public key. Nothing when left out.
   */
  transform?: 'zstd-frame' | 'edge-custom-config'
  executable?: boolean
}

export type WorkspaceLayout<Input extends WorkspaceInput> = {
  files: LaidFile<Input>[]
  /** The arguments for the build, with those that name the files. */
  arguments: Record<string, string>
  diagnostics: Diagnostic[]
}

/**
 * Says where each input of a build goes in the CanvOS tree of a tag, and what the arguments that name
 * the files have to be. The `.arg` file is not among the files: it is written anew from the arguments
 * (`writeArgFile`), and signatures are only verified. The paths are ones that CanvOS's own `.gitignore`
 * keeps free for these files, or carry an ending that no file of CanvOS has, so that nothing of the
 * checkout is replaced, but by an overlay.
 *
 * Sources: CanvOS `Earthfile` (`COPY --if-exists …` in `+build-iso`, `+build-uki-iso`, `+base-image`)
 * and `Dockerfile`; documentation "Build Installer ISO".
 */
export function layoutInputs<Input extends WorkspaceInput>(build: {
  tag: string
  inputs: readonly Input[]
  arguments: Readonly<Record<string, string>>
}): WorkspaceLayout<Input> {
  const files: LaidFile<Input>[] = []
  const diagnostics: Diagnostic[] = []
  const set = new Map(Object.entries(build.arguments))
  const of = (role: InputRole) => build.inputs.filter((input) => input.role === role)

  for (const input of build.inputs) diagnostics.push(...notInTag(input, build.tag), ...wrongKind(input))

  for (const source of of('userData')) files.push({ path: 'user-data', source })
  for (const source of of('localUi')) files.push({ path: 'local-ui.tar', source })
  for (const source of of('edgeCustomConfig')) {
    files.push({ path: edgeCustomConfigPath, source })
    set.set('EDGE_CUSTOM_CONFIG', edgeCustomConfigPath)
  }
  for (const source of of('publicKey')) {
    set.set('EDGE_CUSTOM_CONFIG', edgeCustomConfigPath)
    if (of('edgeCustomConfig').length === 0) {
      files.push({ path: edgeCustomConfigPath, source, transform: 'edge-custom-config' })
      continue
    }
    const message =
      'The edge custom configuration holds a public key too. Send either publicKey or edgeCustomConfig.'
    diagnostics.push(fault(source, 'public-key.twice', message))
  }
  for (const source of of('clusterDefinition')) {
    const path = withEnding(source.fileName ?? 'cluster-definition', '.tgz', ['.tar.gz'])
    files.push({ path, source })
    set.set('CLUSTERCONFIG', path)
  }
  const bundles = layBundles(of('contentBundle'))
  files.push(...bundles)
  diagnostics.push(
    ...clashes(bundles, 'CanvOS flattens the content directories, so one would replace the other.'),
  )

  const certs = of('cert')
  if (isAtLeast(build.tag, firstTagWithCertsDirectory)) {
    const named = certs.map((source, index) => ({
      path: `certs/${certName(source, index, certs.length)}`,
      source,
    }))
    files.push(...named)
    diagnostics.push(...clashes(named, 'One would replace the other.'))
  } else {
    for (const [index, source] of certs.entries()) {
      if (index > 0) {
        const message = `CanvOS ${build.tag} takes one certificate; several are taken from v${firstTagWithCertsDirectory} on. Put all of them into one PEM file.`
        diagnostics.push(fault(source, 'cert.one-only', message))
        continue
      }
      files.push({ path: 'sc.crt', source })
      set.set('PROXY_CERT_PATH', 'sc.crt')
    }
  }
  for (const source of of('secureBoot')) {
    if (set.get('IS_UKI') === 'true') files.push(...membersOf(source))
    else {
      const message =
        'Secure Boot keys are for Trusted Boot and are left out of this build. Set IS_UKI to true, or do not send them.'
      diagnostics.push(fault(source, 'secure-boot.unused', message))
    }
  }
  for (const source of of('overlay')) files.push(...membersOf(source))
  return { files, arguments: Object.fromEntries(set), diagnostics }
}

/** The files of a tar, at their own paths. */
function membersOf<Input extends WorkspaceInput>(source: Input): LaidFile<Input>[] {
  return (source.members ?? []).map((member) => laidMember(source, member, member.path))
}

function laidMember<Input extends WorkspaceInput>(
  source: Input,
  { offset, size, executable }: ArchiveMember,
  path: string,
): LaidFile<Input> {
  return { path, source, range: { offset, length: size }, ...(executable ? { executable } : {}) }
}

/** CanvOS looks for `content-*` directories with `.zst` files and nothing else: a plain tar is wrapped to be found. */
function layBundles<Input extends WorkspaceInput>(bundles: readonly Input[]): LaidFile<Input>[] {
  return bundles.flatMap((source, index) => {
    const directory = `content-${index + 1}`
    if (source.members !== undefined)
      return source.members.map((member) => ({
        ...laidMember(source, member, `${directory}/${member.path.slice(member.path.lastIndexOf('/') + 1)}`),
      }))
    const path = `${directory}/${bundleName(source, index, bundles.length)}`
    return [{ path, source, ...(source.kind === 'tar' ? { transform: 'zstd-frame' as const } : {}) }]
  })
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

function clashes<Input extends WorkspaceInput>(
  laid: readonly LaidFile<Input>[],
  reason: string,
): Diagnostic[] {
  const names = laid.map(({ path }) => path.slice(path.lastIndexOf('/') + 1))
  return laid.flatMap(({ source }, index) => {
    const name = names[index] ?? ''
    if (names.indexOf(name) === index) return []
    const message = `Two files would have the name ${name}. ${reason} Give one of them another fileName.`
    return [fault(source, source.role === 'cert' ? 'cert.name-clash' : 'content-bundle.name-clash', message)]
  })
}
