import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import {
  dataKey,
  describeImage,
  recordChecksum,
  recordImage,
  removeArtifact,
} from '@edgesmith/artifacts/artifacts'
import { isoPathOf } from '@edgesmith/canvos/iso-path'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { Build, BuildProof } from '@edgesmith/contract/build'
import { openFile } from '@edgesmith/iso/file'
import type { RandomAccess } from '@edgesmith/iso/random-access'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { patchManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { openManifest } from '@edgesmith/manifest/open-manifest'
import { stamp } from '@edgesmith/stamp/stamp'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { v7 as uuidv7 } from 'uuid'
import type { Base } from './base.ts'
import { isCondemned } from './base-store.ts'
import { PatchedImage } from './patched-image.ts'

export type VariantRequest = {
  readonly build: Pick<Build, 'id' | 'arguments'>
  readonly base: Base
  /** Bytes of the user-data that goes into the base's slot; undefined where there is no slot. */
  readonly userData: { readonly pointer: string; readonly bytes: Buffer } | undefined
  /** SHA-256 of the image, lowercase hex, where it is known. */
  readonly sha256?: string | undefined
  /** True to compute the SHA-256 at once where it is not known, which reads the whole image. */
  readonly digest?: boolean | undefined
  /** Ends that. */
  readonly signal?: AbortSignal | undefined
}

/** An ISO made of a base, and the proof of what is in it. */
export type Variant = { readonly artifacts: [iso: Artifact, checksum: Artifact]; readonly proof: BuildProof }

/** The base is being removed, and nothing was made of it. */
export class BaseCondemned extends Error {
  override name = 'BaseCondemned'
}

/** Where CanvOS has the user-data in an ISO that is no Trusted Boot image. */
export function userDataPath(): string {
  const place = isoPathOf('user-data', {})
  if ('absent' in place) throw new Error(place.absent)
  return place.path
}

/** Default name of an ISO (`ISO_NAME` in CanvOS's Earthfile). */
const defaultIsoName = 'installer'

/** File name of the ISO of a build. */
export function isoFileName({ arguments: buildArguments }: Pick<Build, 'arguments'>): string {
  return `${buildArguments['ISO_NAME'] ?? defaultIsoName}.iso`
}

/**
 * Makes the ISO of a build from a base: only the sectors that the user-data changes are stored. The user-data
 * is looked up in the new image's directories, as whoever mounts it does; the rest of the proof is the base's.
 * When this fails nothing is left.
 * @throws BaseCondemned, NoSuchObject when bytes of the base are gone
 */
export async function stampVariant(store: ObjectStore, request: VariantRequest): Promise<Variant> {
  const { build, base, userData } = request
  const id = uuidv7()
  const written: string[] = [id]
  try {
    const { manifest, image } = await layStamp(store, id, base, userData?.bytes)
    const sha256 =
      request.sha256 ??
      (request.digest === true ? await digestOf(store, manifest, request.signal) : undefined)
    const name = isoFileName(build)
    const described = { id, buildId: build.id, name, manifest, sha256 }
    const [proven, iso, checksum] = await allOrFirstFault([
      userData === undefined ? Promise.resolve(undefined) : proveUserData(image, userData),
      recordImage(store, described),
      recordChecksum(store, describeImage(described)).then((artifact) => {
        written.push(artifact.id)
        return artifact
      }),
    ])
    if (await isCondemned(store, base.id)) throw new BaseCondemned(`The base ${base.id} is being removed.`)
    return {
      artifacts: [iso, checksum],
      proof: {
        artifact: name,
        inputs: [...(proven === undefined ? [] : [proven]), ...base.proof],
        unproved: base.unproved,
      },
    }
  } catch (error) {
    for (const artifact of written) await removeArtifact(store, artifact)
    throw error
  }
}

/** Waits for all of them, however they end, so that nothing is written any more once this settles. */
async function allOrFirstFault<T extends readonly Promise<unknown>[]>(
  work: readonly [...T],
): Promise<{ [Index in keyof T]: Awaited<T[Index]> }> {
  await Promise.allSettled(work)
  return Promise.all(work)
}

/** Puts the user-data into the base's slot; the base as it is when it has none. */
async function layStamp(
  store: ObjectStore,
  id: string,
  base: Base,
  userData: Buffer | undefined,
): Promise<{ manifest: Manifest; image: RandomAccess }> {
  const { manifest } = base
  if ((base.userData === undefined) !== (userData === undefined)) {
    throw new TypeError(`The base ${base.id} ${base.userData === undefined ? 'has no' : 'needs'} user-data.`)
  }
  const whole = new ImageReader(store, manifest)
  if (base.userData === undefined || userData === undefined) return { manifest, image: whole }
  const { bytes, patches } = stamp(base.userData, userData)
  const object = dataKey(id)
  await store.put(object, bytes)
  const laid = patches(object, 0)
  return { manifest: patchManifest(manifest, laid), image: new PatchedImage(whole, laid, bytes) }
}

async function digestOf(
  store: ObjectStore,
  manifest: Manifest,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(openManifest(store, manifest), hash, signal === undefined ? {} : { signal })
  return hash.digest('hex')
}

/** Reads the user-data back from its path. @throws Error when it has other bytes */
async function proveUserData(
  image: RandomAccess,
  { pointer, bytes }: { pointer: string; bytes: Buffer },
): Promise<BuildProof['inputs'][number]> {
  const path = userDataPath()
  const found = await buffer(await openFile(image, path))
  if (!found.equals(bytes)) {
    throw new Error(
      `${path} of the stamped image has ${found.length} other bytes than the ${bytes.length} given.`,
    )
  }
  return {
    pointer,
    paths: [path],
    sha256: createHash('sha256').update(bytes).digest('hex'),
    size: bytes.length,
  }
}
