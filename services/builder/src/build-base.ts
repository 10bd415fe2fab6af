import { text } from 'node:stream/consumers'
import { publishArtifact, removeArtifact } from '@edgesmith/artifacts/artifacts'
import type { Base } from '@edgesmith/bases/base'
import { baseKey, recordBase } from '@edgesmith/bases/base-store'
import { userDataLayer, type Recipe, type UserDataLayer } from '@edgesmith/bases/keys'
import { userDataPath } from '@edgesmith/bases/variant'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { BuildProof } from '@edgesmith/contract/build'
import type { TakenEntry } from '@edgesmith/engine/archive'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { objectManifest } from '@edgesmith/manifest/manifest'
import { findSlot } from '@edgesmith/stamp/find-slot'
import { placeholderUserData } from '@edgesmith/stamp/placeholder'
import { DigestStream, putThrough } from '@edgesmith/store/digest-stream'
import { v7 as uuidv7 } from 'uuid'
import { BuildFault } from './build-fault.ts'
import type { ProjectContext } from './context.ts'
import type { Layers } from './plan-build.ts'
import { proveInputs, type StoredIso } from './proof.ts'
import {
  assertComplete,
  assertSum,
  checkImage,
  checksumFileLimit,
  entriesOf,
  isIso,
  plainName,
} from './publish.ts'
import { runBuild, type BuildRun, type EarthlyResult } from './run-build.ts'
import type { LaidInput } from './workspace.ts'

/** What Earthly left: the ISO as a base, and the files beside it that are neither it nor its checksum. */
export type BuiltBase = { readonly base: Base; readonly others: Artifact[] }

type Published = {
  readonly id: string
  readonly iso: StoredIso
  readonly proof: BuildProof
  readonly others: Artifact[]
}

/**
 * Runs Earthly and keeps the ISO as a base, with a placeholder in place of the user-data. Where CanvOS does
 * not take the placeholder, or its place cannot be told, Earthly runs again with the user-data itself.
 * @throws what `runBuild` throws, and BuildFault for an output that is not what it should be
 */
export async function buildBase(
  context: ProjectContext,
  run: BuildRun,
  { recipe, keys }: Layers,
): Promise<BuiltBase> {
  const layer = userDataLayer(recipe, context.maker)
  const slotted = layer.kind === 'slot' ? await buildSlotted(context, run, recipe, layer) : undefined
  const { made, images } = slotted ?? (await runAndPublish(context, run, recipe, undefined))
  const hasSlot = slotted !== undefined
  const base: Base = {
    id: made.id,
    rootKey: keys.root,
    layersKey: hasSlot ? keys.layers : keys.fixedLayers,
    buildId: run.build.id,
    createdAt: new Date().toISOString(),
    images,
    engine: context.engine,
    manifest: made.iso.manifest,
    ...(hasSlot ? { userData: slotted.slot } : {}),
    proof: made.proof.inputs.filter(({ pointer }) => !hasSlot || pointer !== '/inputs/userData'),
    unproved: made.proof.unproved,
  }
  await recordBase(context.store, base)
  return { base, others: made.others }
}

async function buildSlotted(
  context: ProjectContext,
  run: BuildRun,
  recipe: Recipe,
  { capacity }: UserDataLayer & { kind: 'slot' },
) {
  const { store } = context
  const placeholder = placeholderUserData(capacity)
  const result = await unlessRefused(runAndPublish(context, run, recipe, placeholder))
  if (result === undefined) {
    await run.log.say('CanvOS refuses the placeholder of user-data; Earthly runs again with the user-data.')
    return undefined
  }
  const { iso, id, others } = result.made
  const slot = await findSlot(new ImageReader(store, iso.manifest), userDataPath(), placeholder)
  if (slot !== undefined) return { ...result, slot }
  await run.log.say('The place of the user-data cannot be told; Earthly runs again with the user-data.')
  await store.remove(baseKey.data(id))
  for (const other of others) await removeArtifact(store, other.id)
  return undefined
}

/** Undefined when CanvOS's own check of the user-data failed. */
async function unlessRefused<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation
  } catch (error) {
    if (error instanceof BuildFault && error.context.failingTarget?.endsWith('+validate-user-data')) {
      return undefined
    }
    throw error
  }
}

function runAndPublish(
  context: ProjectContext,
  run: BuildRun,
  { secrets: secretVersions }: Recipe,
  placeholder: Buffer | undefined,
): Promise<EarthlyResult<Published>> {
  return runBuild(context, run, {
    placeholder,
    secretVersions,
    take: (output, laid) => publishBase(context, run, output, laid),
  })
}

/** Streams what Earthly left into the store and checks it; when that fails, nothing of it is left. */
async function publishBase(
  { store }: ProjectContext,
  { build, signal }: BuildRun,
  output: AsyncIterable<TakenEntry>,
  laid: readonly LaidInput[],
): Promise<Published> {
  const id = uuidv7()
  const others: Artifact[] = []
  const sums = new Map<string, string>()
  let iso: (StoredIso & { sha256: string }) | undefined
  try {
    for await (const entry of entriesOf(output)) {
      signal.throwIfAborted()
      const name = plainName(entry)
      if (isIso({ name }) && iso === undefined) {
        const through = new DigestStream()
        await putThrough(store, baseKey.data(id), { source: entry.body, through }, { signal })
        iso = { name, manifest: objectManifest(baseKey.data(id), through.size), sha256: through.digest() }
      } else if (name.endsWith('.iso.sha256') && entry.size <= checksumFileLimit) {
        sums.set(name, await text(entry.body))
      } else {
        others.push(await publishArtifact(store, { buildId: build.id, name, source: entry.body, signal }))
      }
    }
    assertComplete(build, iso === undefined ? others : [iso])
    if (iso === undefined) throw new BuildFault('no-output', 'Earthly left no ISO image.')
    const sum = sums.get(`${iso.name}.sha256`)
    if (sum !== undefined) assertSum(iso, `${iso.name}.sha256`, sum)
    await checkImage(store, iso)
    return { id, iso, proof: await proveInputs(store, iso, laid), others }
  } catch (error) {
    await store.remove(baseKey.data(id))
    for (const other of others) await removeArtifact(store, other.id)
    throw error
  }
}
