import { buffer } from 'node:stream/consumers'
import { recordImage, removeArtifact } from '@edgesmith/artifacts/artifacts'
import type { Base } from '@edgesmith/bases/base'
import { isCondemned } from '@edgesmith/bases/base-store'
import { buildKey, recipeKeys, type Recipe } from '@edgesmith/bases/keys'
import type { UsableBase } from '@edgesmith/bases/usable-base'
import { isoFileName, userDataPath } from '@edgesmith/bases/variant'
import { finishBuild, type Outcome } from '@edgesmith/builds/build-state'
import type { Build } from '@edgesmith/contract/build'
import { fleetObject, siteBuild, type FleetRecord, type SiteRecord } from '@edgesmith/fleets/fleet-record'
import { forEachAtOnce } from '@edgesmith/fleets/for-each-at-once'
import { readPack } from '@edgesmith/fleets/pack'
import { openFile } from '@edgesmith/iso/file'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { patchManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { stamp } from '@edgesmith/stamp/stamp'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { FleetContext } from './fleet-job.ts'
import { endBuilds } from './fleet-ends.ts'
import { findRecipe } from './recipe.ts'

/** Where the user-data is in the spec of a site's build. */
const userDataPointer = '/inputs/userData'

/** Sites that are recorded before their builds end, and how many of them at a time. */
const batch = 250
const atOnce = 32

/** What decides the bytes of a site's ISO; undefined when an input is no longer stored. */
export async function recipeOfSite(
  store: ObjectStore,
  record: FleetRecord,
  site: SiteRecord,
): Promise<Recipe | undefined> {
  const build = siteBuild(record, site)
  const { userData: _userData, ...inputs } = build.spec.inputs ?? {}
  const recipe = await findRecipe(store, { ...build, spec: { ...build.spec, inputs } })
  return recipe === undefined ? undefined : withUserData(recipe, record, site, build.arguments)
}

/** The recipe of another site that has the same files. */
function withUserData(
  recipe: Recipe,
  { id }: FleetRecord,
  { userData }: SiteRecord,
  buildArguments: Build['arguments'],
): Recipe {
  const others = recipe.inputs.filter(({ role }) => role !== 'userData')
  const { sha256, size } = userData
  return {
    ...recipe,
    arguments: buildArguments,
    inputs: [
      {
        role: 'userData',
        pointer: userDataPointer,
        contentId: `sha256:${sha256}`,
        kind: 'cloud-config',
        size,
        objectKey: fleetObject.pack(id),
      },
      ...others,
    ],
  }
}

export type StampRequest = {
  readonly record: FleetRecord
  readonly recipe: Recipe
  readonly usable: UsableBase
  readonly queued: readonly { readonly site: SiteRecord; readonly build: Build }[]
  readonly signal: AbortSignal
}

type StampedSite = { readonly site: SiteRecord; readonly build: Build; readonly manifest: Manifest }

/**
 * Stamps the ISOs of sites, and ends their builds. All that is stored for each is a small record: what the
 * stamps replace has been in the fleet's pack since it was made. The user-data of the first is read back
 * through its image; that of the others is at the same place, and is compared where it is in the pack.
 * @throws Error when the base goes meanwhile, NoSuchObject
 */
export async function stampSites(context: FleetContext, request: StampRequest): Promise<void> {
  const { record, usable, queued, signal } = request
  const { base } = usable
  const slot = base.userData
  if (slot === undefined) throw new TypeError(`The base ${base.id} has no place for user-data.`)
  const builds = new Map(queued.map(({ build }) => [build.id, build]))
  const object = fleetObject.pack(record.id)
  let isProved = false
  let stamped: StampedSite[] = []
  for await (const { site, offset, userData } of readPack(context.store, record)) {
    const build = builds.get(site.buildId)
    if (build === undefined) continue
    signal.throwIfAborted()
    const manifest = patchManifest(base.manifest, stamp(slot, userData).patches(object, offset))
    if (!isProved) await prove(context.store, manifest, userData)
    isProved = true
    stamped.push({ site, build, manifest })
    if (stamped.length < batch) continue
    await finish(context, request, stamped)
    stamped = []
  }
  await finish(context, request, stamped)
}

async function prove(store: ObjectStore, manifest: Manifest, userData: Buffer): Promise<void> {
  const path = userDataPath()
  const found = await buffer(await openFile(new ImageReader(store, manifest), path))
  if (!found.equals(userData)) throw new Error(`${path} of a stamped image has other bytes than those given.`)
}

async function finish(
  context: FleetContext,
  { record, recipe, usable }: StampRequest,
  sites: readonly StampedSite[],
): Promise<void> {
  if (sites.length === 0) return
  const { store, repository, maker } = context
  const { base, warnings } = usable
  const keys = recipeKeys(recipe, maker)
  const outcomes = new Map<string, Outcome>()
  await forEachAtOnce(sites, atOnce, async ({ site, build, manifest }) => {
    const image = {
      ...{ id: site.artifactId, buildId: build.id, fleetId: record.id },
      ...{ name: isoFileName(build), manifest },
    }
    const iso = await recordImage(store, image)
    outcomes.set(build.id, {
      state: 'succeeded',
      artifacts: [iso],
      proof: proofOf(base, iso.name, site),
      road: 'stamp',
      key: buildKey(keys, withUserData(recipe, record, site, build.arguments), base.images),
      ...(base.buildId === build.id ? {} : { baseBuildId: base.buildId }),
      images: base.images,
      ...(base.engine === undefined ? {} : { engine: base.engine }),
    })
  })
  if (await isCondemned(store, base.id)) throw new Error(`The base ${base.id} is being removed.`)
  const at = new Date()
  const lines = [
    ...warnings,
    `The user-data is stamped into the base ${base.id}, which the build ${base.buildId} left; Earthly does not run.`,
  ]
  const left = await endBuilds(
    context,
    sites.map(({ build }) => build),
    (build) => {
      const outcome = outcomes.get(build.id)
      if (outcome === undefined) throw new Error(`The build ${build.id} was not stamped.`)
      return finishBuild({ ...build, startedAt: at.toISOString() }, outcome, at)
    },
    at,
    lines,
  )
  for (const { site } of sites) {
    // Another worker that had the job may have ended the build with the same artifacts.
    if (!left.has(site.buildId) || (await repository.find(site.buildId))?.state === 'succeeded') continue
    await removeArtifact(store, site.artifactId)
  }
}

function proofOf(base: Base, artifact: string, { userData }: SiteRecord): NonNullable<Build['proof']> {
  const { sha256, size } = userData
  return {
    artifact,
    inputs: [{ pointer: userDataPointer, paths: [userDataPath()], sha256, size }, ...base.proof],
    unproved: base.unproved,
  }
}
