import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import { allOrFirstFault } from '@edgesmith/bases/all-or-first-fault'
import type { Base } from '@edgesmith/bases/base'
import { baseKey, isCondemned, publishBase, renewBaseUse, writeBaseRecord } from '@edgesmith/bases/base-store'
import { BaseCondemned, isoFileName, userDataPath } from '@edgesmith/bases/variant'
import { isoPathOf } from '@edgesmith/canvos/iso-path'
import { layoutInputs, type LaidFile } from '@edgesmith/canvos/workspace'
import { composeImage } from '@edgesmith/compose/compose-image'
import { laidContent } from '@edgesmith/inputs/laid-content'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { makeManifest, objectsOf, sliceManifest, type Extent } from '@edgesmith/manifest/manifest'
import { findSlot } from '@edgesmith/stamp/find-slot'
import { placeholderUserData } from '@edgesmith/stamp/placeholder'
import { DigestStream, putThrough } from '@edgesmith/store/digest-stream'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { v7 as uuidv7 } from 'uuid'
import { isLayerPointer, layerPathsOf, layerRoles, placeholderCapacity, splitBundle } from './composition.ts'
import type { BuilderConfig } from './config.ts'
import type { ProjectContext } from './context.ts'
import type { LogWriter } from './log-writer.ts'
import type { Layers } from './plan-build.ts'
import { proveInputs, type ProvableInput } from './proof.ts'
import { checkImage } from './publish.ts'
import type { BuildRun } from './run-build.ts'
import { damaged, findInputs, type StoredInput } from './workspace.ts'

/** A file of the image, by where its bytes are. */
type PlacedInput = ProvableInput & { readonly extents: readonly Extent[] }

type ComposeParts = Pick<ProjectContext, 'store' | 'maker'> & {
  readonly config: Pick<BuilderConfig, 'workDirectory'>
}

type ComposeRun = Pick<BuildRun, 'build' | 'signal'> & { readonly log: Pick<LogWriter, 'say'> }

/**
 * Lays the files of a recipe around the root file system of a base: another base, which refers to the bytes
 * of the first one and of the uploads. Its user-data is a placeholder, unless it is larger than the reserve or
 * its place cannot be told. Uploads that the first one does not have are read once, whether they are intact.
 * @throws BuildFault, BaseCondemned, and what `composeImage` throws; nothing is left then
 */
export async function composeBase(
  context: ComposeParts,
  run: ComposeRun,
  layers: Layers,
  from: Base,
): Promise<Base> {
  const { store } = context
  await renewBaseUse(store, from.id)
  const id = uuidv7()
  const base = await composeUnpublished(context, run, { id, layers, from })
  // From here on others may have made something of it: it is not taken back.
  await publishBase(store, base)
  return base
}

/** Makes the base and records it, where nobody finds it yet. */
async function composeUnpublished(
  context: ComposeParts,
  run: ComposeRun,
  { id, layers: { recipe, keys }, from }: { id: string; layers: Layers; from: Base },
): Promise<Base> {
  const { store, maker } = context
  try {
    const stored = await findLayerInputs(store, run)
    const inputs = await placeInputs(store, id, run, stored)
    const capacity = placeholderCapacity(recipe, maker)
    const lay = async () => {
      const slotted =
        capacity === undefined ? undefined : await layImage(context, run, id, from, inputs, capacity)
      if (slotted?.userData !== undefined) return slotted
      if (capacity !== undefined) {
        await run.log.say('The place of the user-data cannot be told; the user-data itself is laid.')
      }
      return layImage(context, run, id, from, inputs, undefined)
    }
    const known = objectsOf(from.manifest)
    const added = stored.filter(({ objectKey }) => !known.includes(objectKey))
    const [laid] = await allOrFirstFault([lay(), assertIntact(store, added, run.signal)])
    const hasSlot = laid.userData !== undefined
    const provable = inputs.filter(({ pointer }) => !hasSlot || pointer !== '/inputs/userData')
    const iso = { name: isoFileName(run.build), manifest: laid.manifest }
    await checkImage(store, iso)
    const proof = await proveInputs(store, iso, provable)
    const base: Base = {
      id,
      rootKey: keys.root,
      layersKey: hasSlot ? keys.layers : keys.fixedLayers,
      buildId: from.buildId,
      createdAt: new Date().toISOString(),
      images: from.images,
      ...(from.engine === undefined ? {} : { engine: from.engine }),
      ...laid,
      proof: [...from.proof.filter(({ pointer }) => !isLayerPointer(pointer)), ...proof.inputs],
      unproved: from.unproved,
    }
    await writeBaseRecord(store, base)
    await assertKept(store, from, base)
    return base
  } catch (error) {
    for await (const { key } of store.list(`bases/${id}/`)) await store.remove(key)
    throw error
  }
}

/** @throws BaseCondemned when a base that the new one refers to is being removed */
async function assertKept(store: ObjectStore, from: Base, base: Base): Promise<void> {
  const ids = objectsOf(base.manifest).flatMap((object) => /^bases\/([^/]+)\//.exec(object)?.[1] ?? [])
  for (const id of new Set([from.id, ...ids])) {
    if (id !== base.id && (await isCondemned(store, id)))
      throw new BaseCondemned(`The base ${id} is being removed.`)
  }
}

async function layImage(
  { store, config }: ComposeParts,
  { signal }: ComposeRun,
  id: string,
  from: Base,
  inputs: readonly PlacedInput[],
  capacity: number | undefined,
): Promise<Pick<Base, 'manifest' | 'userData'>> {
  const placeholder = capacity === undefined ? undefined : placeholderUserData(capacity)
  const laid = inputs.filter(({ pointer }) => placeholder === undefined || pointer !== '/inputs/userData')
  const manifest = await composeImage(
    { store, signal, ...(config.workDirectory === undefined ? {} : { workDirectory: config.workDirectory }) },
    {
      base: from.manifest,
      remove: layerPathsOf(from),
      add: [
        ...laid.flatMap(filesOf),
        ...(placeholder === undefined ? [] : [{ path: userDataPath(), source: { bytes: placeholder } }]),
      ],
      layoutKey: baseKey.layout(id),
    },
  )
  if (placeholder === undefined) return { manifest }
  const userData = await findSlot(new ImageReader(store, manifest), userDataPath(), placeholder)
  return userData === undefined ? { manifest } : { manifest, userData }
}

/** The files of the ISO that an input becomes. */
function filesOf({ place, extents, size }: PlacedInput) {
  if ('absent' in place) return []
  const content = makeManifest(extents)
  const parts = place.split ? splitBundle(place.path, size) : [{ path: place.path, offset: 0, length: size }]
  return parts.map(({ path, offset, length }) => ({
    path,
    source: { extents: sliceManifest(content, { offset, length }) },
  }))
}

async function findLayerInputs(store: ObjectStore, { build }: ComposeRun): Promise<StoredInput[]> {
  return (await findInputs(store, build)).filter(({ role }) => layerRoles.includes(role))
}

/**
 * Reads uploads from beginning to end: nothing else does, where the image refers to their bytes.
 * @throws BuildFault `input-unavailable` when the store does not give back what was uploaded
 */
async function assertIntact(
  store: ObjectStore,
  inputs: readonly StoredInput[],
  signal: AbortSignal,
): Promise<void> {
  const pointers: string[] = []
  for (const { objectKey, contentId, pointer } of inputs) {
    const hash = createHash('sha256')
    await pipeline(await store.get(objectKey), hash, { signal })
    if (contentId !== `sha256:${hash.digest('hex')}`) pointers.push(pointer)
  }
  if (pointers.length > 0) throw damaged(pointers)
}

async function placeInputs(
  store: ObjectStore,
  id: string,
  { build, signal }: ComposeRun,
  inputs: readonly StoredInput[],
): Promise<PlacedInput[]> {
  const { files, arguments: buildArguments } = layoutInputs({
    tag: build.canvos.tag,
    inputs,
    arguments: build.arguments,
  })
  const placed: PlacedInput[] = []
  for (const [index, file] of files.entries()) {
    signal.throwIfAborted()
    const { pointer } = file.source
    const place = isoPathOf(file.path, buildArguments)
    const content = await placeContent(store, `bases/${id}/file-${index}`, file, signal)
    placed.push({ pointer, path: file.path, place, ...content })
  }
  return placed
}

/** Where the bytes of a laid file are: in the upload, or, those of a file in another form, in an object of their own. */
async function placeContent(
  store: ObjectStore,
  key: string,
  file: LaidFile<StoredInput>,
  signal: AbortSignal,
): Promise<Pick<PlacedInput, 'sha256' | 'size' | 'extents'>> {
  const { source, range, transform } = file
  if (transform !== undefined) {
    const through = new DigestStream()
    const stored = await (await laidContent(store, file)).open()
    await putThrough(store, key, { source: stored, through }, { signal })
    const { size } = through
    return { sha256: through.digest(), size, extents: extentsOf({ object: key, offset: 0, length: size }) }
  }
  const { offset, length: size } = range ?? { offset: 0, length: source.size }
  const extents = extentsOf({ object: source.objectKey, offset, length: size })
  if (range === undefined) return { sha256: source.contentId.replace('sha256:', ''), size, extents }
  const hash = createHash('sha256')
  await pipeline(await store.get(source.objectKey, range), hash, { signal })
  return { sha256: hash.digest('hex'), size, extents }
}

function extentsOf(extent: Extent): Extent[] {
  return extent.length === 0 ? [] : [extent]
}
