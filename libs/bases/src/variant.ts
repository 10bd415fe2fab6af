import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import {
  dataKey,
  describeChecksum,
  describeImage,
  recordArtifact,
  removeArtifact,
} from '@edgesmith/artifacts/artifacts'
import { isoPathOf } from '@edgesmith/canvos/iso-path'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { Build, BuildProof } from '@edgesmith/contract/build'
import { openFile } from '@edgesmith/iso/file'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { patchManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { openManifest } from '@edgesmith/manifest/open-manifest'
import { stamp } from '@edgesmith/stamp/stamp'
import { KeptRanges } from '@edgesmith/store/kept-ranges'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { v7 as uuidv7 } from 'uuid'
import { allOrFirstFault } from './all-or-first-fault.ts'
import type { Base } from './base.ts'
import { isCondemned } from './base-store.ts'

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
  /**
   * What can be done while the variant is recorded and proved. It is waited for, and the variant fails when
   * it fails; when the variant fails, it is for the caller to take back what this did.
   */
  readonly alongside?: ((variant: Variant) => Promise<void>) | undefined
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

/** Directories of bases, by their store: a few of each base are read for every variant of it. */
const directories = new WeakMap<ObjectStore, KeptRanges>()
const maximumDirectories = 64

/** Bytes that one request reads of an image to prove its user-data: the directories and the user-data are few. */
const proofBlockSize = 64 * 1024

/**
 * Makes the ISO of a build from a base: only the sectors that the user-data changes are stored. The user-data
 * is looked up in the new image's directories, and read back from the store, as whoever mounts it does; the
 * rest of the proof is the base's. The records are written after the bytes. When this fails nothing is left.
 * @throws BaseCondemned, NoSuchObject when bytes of the base are gone
 */
export async function stampVariant(store: ObjectStore, request: VariantRequest): Promise<Variant> {
  const { build, base, userData } = request
  const id = uuidv7()
  const written: string[] = [id]
  try {
    const manifest = await layStamp(store, id, base, userData?.bytes)
    const sha256 =
      request.sha256 ??
      (request.digest === true ? await digestOf(store, manifest, request.signal) : undefined)
    const name = isoFileName(build)
    const iso = describeImage({ id, buildId: build.id, name, manifest, sha256 })
    const checksum = describeChecksum(iso)
    written.push(checksum.id)
    const variant: Variant = {
      artifacts: [iso, checksum],
      proof: {
        artifact: name,
        inputs: [...(userData === undefined ? [] : [provenUserData(userData)]), ...base.proof],
        unproved: base.unproved,
      },
    }
    const recordImage = async () => {
      await recordArtifact(store, { artifact: iso, content: { kind: 'manifest', manifest } })
      // Only now: whoever removes the base looks for what refers to it after condemning it.
      if (await isCondemned(store, base.id)) throw new BaseCondemned(`The base ${base.id} is being removed.`)
    }
    await allOrFirstFault([
      recordImage(),
      userData === undefined ? undefined : proveUserData(store, manifest, userData.bytes),
      recordArtifact(store, { artifact: checksum, content: { kind: 'checksum', of: iso.id } }),
      request.alongside?.(variant),
    ])
    return variant
  } catch (error) {
    for (const artifact of written) await removeArtifact(store, artifact)
    throw error
  }
}

/** Puts the user-data into the base's slot; the base as it is when it has none. */
async function layStamp(
  store: ObjectStore,
  id: string,
  base: Base,
  userData: Buffer | undefined,
): Promise<Manifest> {
  const { manifest } = base
  if ((base.userData === undefined) !== (userData === undefined)) {
    throw new TypeError(`The base ${base.id} ${base.userData === undefined ? 'has no' : 'needs'} user-data.`)
  }
  if (base.userData === undefined || userData === undefined) return manifest
  const { bytes, patches } = stamp(base.userData, userData)
  const object = dataKey(id)
  await store.put(object, bytes)
  return patchManifest(manifest, patches(object, 0))
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

/** What `proveUserData` proves. */
function provenUserData({
  pointer,
  bytes,
}: NonNullable<VariantRequest['userData']>): BuildProof['inputs'][number] {
  return {
    pointer,
    paths: [userDataPath()],
    sha256: createHash('sha256').update(bytes).digest('hex'),
    size: bytes.length,
  }
}

/** Reads the user-data back from its path. @throws Error when it has other bytes */
async function proveUserData(store: ObjectStore, manifest: Manifest, bytes: Buffer): Promise<void> {
  const path = userDataPath()
  let source = directories.get(store)
  if (source === undefined)
    directories.set(store, (source = new KeptRanges(store, { maximum: maximumDirectories })))
  const image = new ImageReader(source, manifest, { blockSize: proofBlockSize })
  const found = await buffer(await openFile(image, path))
  if (found.equals(bytes)) return
  throw new Error(
    `${path} of the stamped image has ${found.length} other bytes than the ${bytes.length} given.`,
  )
}
