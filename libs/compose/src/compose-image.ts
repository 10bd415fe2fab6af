import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkIso } from '@edgesmith/iso/check'
import { fileReader, type RandomAccess } from '@edgesmith/iso/random-access'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import type { Manifest } from '@edgesmith/manifest/manifest'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { readBaseImage } from './base-image.ts'
import { readBootEquipment } from './boot-equipment.ts'
import { ComposeError } from './compose-error.ts'
import { findContents } from './contents.ts'
import { draftPatches } from './draft-patches.ts'
import { writeAddedFile, writeBaseDraft } from './draft-sources.ts'
import { storeLayout } from './layout-object.ts'
import { planChanges, type FileToAdd } from './plan.ts'
import { Relocation } from './relocation.ts'
import { writeAt } from './sparse-file.ts'
import { writeImage } from './xorriso.ts'
import { xorrisoCommands, type AddedFile } from './xorriso-commands.ts'

export type ComposeParts = {
  store: ObjectStore
  /** Where a directory for temporary files is made, of some megabytes; by default that of the system. */
  workDirectory?: string
  signal: AbortSignal
}

export type ComposeRequest = {
  /** The image whose tree and boot equipment the new one has. */
  base: Manifest
  /** Paths of the base to leave out; a directory goes with all that is below. */
  remove: readonly string[]
  /** Files to add, in place of any of the same path; directories are made where missing. */
  add: readonly FileToAdd[]
  /** Key of the object that gets what is new of the image. */
  layoutKey: string
}

/**
 * Lays out an image anew: the base's files without those removed and with those added, bootable as the base is.
 * The contents of large files (1 MiB and more), the base's and those added by their extents, are neither read
 * nor stored again: the manifest refers to them. All else is stored under `layoutKey`.
 *
 * xorriso lays out a draft in which each large file is one sector. Then the draft takes their true sizes, and so
 * does every number that tells a place or a size. So the time it takes does not depend on how large they are;
 * only files of 4 GiB and more, which have several directory records, pass through xorriso as zeros.
 * @throws ComposeError when xorriso fails, or a path is to be removed that is not there or is needed to boot;
 * RangeError for a path that is none or is added twice; IsoError for a base that is damaged; the signal's reason
 */
export async function composeImage(parts: ComposeParts, request: ComposeRequest): Promise<Manifest> {
  const { store, signal } = parts
  const { base, layoutKey } = request
  signal.throwIfAborted()
  const reader = new ImageReader(store, base)
  const image = await readBaseImage(reader)
  const equipment = await readBootEquipment(reader)
  const { directories, add, large } = planChanges(base, image, request)

  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(join(parts.workDirectory ?? tmpdir(), 'edgesmith-compose-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const baseFile = join(directory, 'base.iso')
  await writeBaseDraft(parts, { base, image, file: baseFile })
  const added: AddedFile[] = []
  for (const [index, { path, content }] of add.entries()) {
    const file = join(directory, `added-${index}`)
    await writeAddedFile(parts, { content, isLarge: large.has(path), file })
    added.push({ path, file })
  }
  const draftFile = join(directory, 'draft.iso')
  const commands = xorrisoCommands({
    ...{ image, remove: request.remove, directories },
    ...{ base: baseFile, add: added, last: [...large.keys()] },
  })
  await writeImage(commands, { file: draftFile, directory, signal })

  const file = resources.use(await open(draftFile, 'r+'))
  const draft = fileReader(file, (await file.stat()).size)
  const contents = await findContents(draft, large)
  const patches = await draftPatches(draft, new Relocation(contents))
  for (const { offset, bytes } of patches) await writeAt(file, bytes, offset)
  const manifest = await storeLayout(parts, { draft, contents, key: layoutKey })
  try {
    await assertSound(new ImageReader(store, manifest), equipment)
    return manifest
  } catch (error) {
    await store.remove(layoutKey)
    throw error
  }
}

/** Checks that the image is whole and has the boot equipment of its base; some kinds xorriso does not know. */
async function assertSound(reader: RandomAccess, equipment: readonly string[]): Promise<void> {
  const { faults } = await checkIso(reader)
  const found = await readBootEquipment(reader)
  const lost = equipment.filter((part) => !found.includes(part))
  const other = found.filter((part) => !equipment.includes(part))
  const messages = [
    ...faults.map(({ message }) => message),
    ...lost.map((part) => `It lacks the ${part}.`),
    ...other.map((part) => `It has another ${part}.`),
  ]
  if (messages.length > 0) throw new ComposeError(`The image would be faulty: ${messages.join(' ')}`)
}
