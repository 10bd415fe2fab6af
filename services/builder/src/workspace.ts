import { createHash } from 'node:crypto'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { createReadStream } from 'node:fs'
import { join, posix } from 'node:path'
import { pipeline, type Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { argFilePath, writeArgFile } from '@edgesmith/canvos/arg-file'
import { isoPathOf, type IsoPath } from '@edgesmith/canvos/iso-path'
import { UnknownTagError, type Mirror } from '@edgesmith/canvos/mirror'
import { layoutInputs, type LaidFile, type WorkspaceInput } from '@edgesmith/canvos/workspace'
import type { Build } from '@edgesmith/contract/build'
import { listInputs } from '@edgesmith/contract/build-spec'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ArchiveEntry } from '@edgesmith/engine/archive'
import { withMembers } from '@edgesmith/inputs/archive-members'
import { laidContent } from '@edgesmith/inputs/laid-content'
import { DigestStream } from '@edgesmith/store/digest-stream'
import { NoSuchObject, type ObjectStore } from '@edgesmith/store/object-store'
import { findUpload } from '@edgesmith/uploads/uploads'
import { BuildFault } from './build-fault.ts'
import { makeCheckout, type CheckoutPlace } from './checkouts.ts'

/** What a workspace is made of, and where the working tree is put for a moment. */
type WorkspaceParts = CheckoutPlace & {
  readonly mirror: Mirror
  readonly store: ObjectStore
}

/** An input of a build, with the files of those tars that are laid one by one. */
export type StoredInput = WorkspaceInput & {
  readonly objectKey: string
  readonly size: number
  readonly contentId: string
}

/** An input as it was laid into the workspace. */
export type LaidInput = {
  /** JSON Pointer to the input within the spec. */
  readonly pointer: string
  /** Path relative to the root of CanvOS. */
  readonly path: string
  /** SHA-256, lowercase hex, and size in bytes of what was laid there. */
  readonly sha256: string
  readonly size: number
  /** Where it is to be found in the installer ISO. */
  readonly place: IsoPath
  /** False when the store gave other bytes than were uploaded. */
  readonly isIntact: boolean
}

/** Files of CanvOS up to this size, in bytes, are read at once. */
const smallFile = 1024 ** 2

/**
 * The workspace of a build: CanvOS at its tag, unmodified, the inputs where CanvOS wants them, and the
 * `.arg` file. Inputs are streamed from the store and never touch this machine's disk; each is added to
 * `laid` once it is there, with the digest of what was laid. A `placeholder` is laid instead of the user-data.
 * @throws BuildFault `canvos-unavailable`, `input-unavailable`
 */
export async function* workspaceEntries(
  parts: WorkspaceParts,
  build: Build,
  signal: AbortSignal,
  laid: LaidInput[],
  placeholder?: Buffer,
): AsyncGenerator<ArchiveEntry> {
  const layout = layoutInputs({
    tag: build.canvos.tag,
    inputs: await findInputs(parts.store, build),
    arguments: build.arguments,
  })
  {
    await using checkout = await makeCheckout(parts)
    await checkOut(parts.mirror, build, checkout.directory, signal)
    yield* treeEntries(checkout.directory)
  }
  yield { type: 'file', path: argFilePath, mode: 0o644, body: writeArgFile(layout.arguments) }
  for (const parent of new Set(layout.files.map(({ path }) => posix.dirname(path)))) {
    if (parent !== '.') yield { type: 'directory', path: parent, mode: 0o755 }
  }
  for (const file of layout.files) {
    const content = await whileStored(file.source, () => laidContent(parts.store, file))
    if (placeholder !== undefined && file.source.role === 'userData') {
      const sha256 = digestOf(placeholder)
      const userData = await buffer(await whileStored(file.source, content.open))
      const isIntact = file.source.contentId === `sha256:${digestOf(userData)}`
      const place = isoPathOf(file.path, layout.arguments)
      const { pointer } = file.source
      laid.push({ pointer, path: file.path, sha256, size: placeholder.length, place, isIntact })
      yield { type: 'file', path: file.path, mode: 0o644, body: placeholder }
      continue
    }
    yield {
      type: 'stream',
      path: file.path,
      mode: file.executable === true ? 0o755 : 0o644,
      size: content.size,
      open: async () =>
        digesting(await whileStored(file.source, content.open), file, (digest) => {
          laid.push({ ...digest, place: isoPathOf(file.path, layout.arguments) })
        }),
    }
  }
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Passes an input on, and tells of its bytes when it has been read to the end. */
function digesting(
  stored: Readable,
  { path, source, range, transform }: LaidFile<StoredInput>,
  onEnd: (laid: Omit<LaidInput, 'place'>) => void,
): Readable {
  const digests = new DigestStream()
  digests.once('end', () => {
    const sha256 = digests.digest()
    const isWhole = range === undefined && transform === undefined
    const isIntact = !isWhole || source.contentId === `sha256:${sha256}`
    onEnd({ pointer: source.pointer, path, sha256, size: digests.size, isIntact })
  })
  return pipeline(stored, digests, () => undefined)
}

/** Bytes of a build's inputs. @throws BuildFault `input-unavailable` */
export async function sizeOfInputs(store: ObjectStore, build: Build): Promise<number> {
  let size = 0
  for (const { pointer, file } of listInputs(build.spec.inputs)) {
    const entry = await findUpload(store, file.upload)
    if (entry === undefined) throw unavailable(pointer)
    size += entry.upload.size
  }
  return size
}

/** The inputs of a build as they are stored. @throws BuildFault `input-unavailable` */
export async function findInputs(store: ObjectStore, build: Build): Promise<StoredInput[]> {
  const inputs: StoredInput[] = []
  for (const { role, pointer, file } of listInputs(build.spec.inputs)) {
    const entry = await findUpload(store, file.upload)
    if (entry === undefined) throw unavailable(pointer)
    const { objectKey, upload } = entry
    const fileName = file.fileName ?? upload.fileName
    const { kind, size, id: contentId } = upload
    const input = { role, pointer, kind, fileName, objectKey, size, contentId }
    // No input has faults: it is what the build was accepted with.
    const { files } = await whileStored(input, () => withMembers(store, [input]))
    inputs.push(...files)
  }
  return inputs
}

async function whileStored<Result>({ pointer }: StoredInput, read: () => Promise<Result>): Promise<Result> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof NoSuchObject) throw unavailable(pointer)
    throw error
  }
}

function unavailable(pointer: string): BuildFault {
  return new BuildFault(
    'input-unavailable',
    `The input ${pointer} of the build is no longer stored. Upload it again and submit a new build.`,
  )
}

/** @throws BuildFault `input-unavailable` when the store did not give back what was uploaded */
export function assertIntact(laid: readonly LaidInput[]): void {
  const pointers = laid.filter(({ isIntact }) => !isIntact).map(({ pointer }) => pointer)
  if (pointers.length > 0) throw damaged(pointers)
}

/** The fault of inputs whose stored bytes are not those that were uploaded. */
export function damaged(pointers: readonly string[]): BuildFault {
  return new BuildFault(
    'input-unavailable',
    `The stored bytes of ${pointers.join(', ')} are not those that were uploaded. Upload the files again, delete what is damaged first, and look at the object store.`,
  )
}

async function checkOut(
  mirror: Mirror,
  { canvos }: Build,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    const { commit } = await mirror.checkout(canvos.tag, directory, { signal })
    if (commit === canvos.commit) return
    throw new BuildFault(
      'canvos-unavailable',
      `The tag ${canvos.tag} of ${mirror.repository} names the commit ${commit} now, no longer ${canvos.commit} that the build was checked against. Submit a new build.`,
    )
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof UnknownTagError) && !(error instanceof ProblemError)) throw error
    throw new BuildFault('canvos-unavailable', error.message, { cause: error })
  }
}

/** Everything below a directory, parents first. */
async function* treeEntries(root: string, below = ''): AsyncGenerator<ArchiveEntry> {
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const path = posix.join(below, entry.name)
    const source = join(root, path)
    if (entry.isSymbolicLink()) yield { type: 'symlink', path, target: await readlink(source) }
    else if (entry.isDirectory()) {
      yield { type: 'directory', path, mode: 0o755 }
      yield* treeEntries(root, path)
    } else {
      const { size, mode } = await stat(source)
      const permissions = (mode & 0o100) === 0 ? 0o644 : 0o755
      if (size <= smallFile) yield { type: 'file', path, mode: permissions, body: await readFile(source) }
      else
        yield {
          type: 'stream',
          path,
          mode: permissions,
          size,
          open: () => Promise.resolve(createReadStream(source)),
        }
    }
  }
}
