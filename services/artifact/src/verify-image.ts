import type { StoredArtifact } from '@edgesmith/artifacts/artifacts'
import { digestKey, knownSha256 } from '@edgesmith/artifacts/digest'
import { readArchivedBuild } from '@edgesmith/builds/build-archive'
import {
  verificationChecks,
  type VerificationCheck,
  type VerificationReport,
} from '@edgesmith/contract/verification'
import { bootImageFaults } from '@edgesmith/iso/boot-images'
import { checkIso } from '@edgesmith/iso/check'
import { compareTrees } from '@edgesmith/iso/compare-trees'
import { IsoError, type IsoFault, type IsoFaultCode } from '@edgesmith/iso/fault'
import { readSquashfs } from '@edgesmith/iso/squashfs'
import { walkTree, type TreeEntry } from '@edgesmith/iso/tree'
import { readVolumes } from '@edgesmith/iso/volume'
import { writeJson } from '@edgesmith/store/json-object'
import type { DamagedObject, ObjectStore } from '@edgesmith/store/object-store'
import { requireImage } from './find-artifact.ts'
import { digestOfFiles, digestOfImage, openStoredImage, type StoredImage } from './stored-image.ts'

type CheckName = VerificationCheck['name']

/** The check that tells a fault, by the code of the fault. */
const checkOf: Readonly<Record<IsoFaultCode, CheckName>> = {
  'not-iso9660': 'volume-descriptors',
  'no-boot-catalog': 'boot-catalog',
  'invalid-boot-catalog': 'boot-catalog',
  'invalid-partition-table': 'partition-tables',
  'invalid-directory': 'directory-trees',
  'invalid-squashfs': 'squashfs',
  'file-not-found': 'directory-trees',
  truncated: 'extent',
  'trailing-data': 'extent',
}

/**
 * Reads an ISO image in full and tells what is wrong with it. Where its SHA-256 is not recorded and nothing
 * is wrong, it is recorded.
 * @throws ProblemError `not-an-iso` for an artifact of another kind; DamagedObject, see `damageReport`
 */
export async function verifyImage(store: ObjectStore, stored: StoredArtifact): Promise<VerificationReport> {
  const image = await openStoredImage(store, requireImage(stored))
  const report = await checkIso(image.reader)
  const faults = [...report.faults]
  const entries = await collect(faults, readEntries(image))
  const trees = await collect(faults, compareTrees(image.reader))
  const squashfs = await checkSquashfs(image, entries, faults)
  // Without its partition table an image does not tell where its partitions begin.
  if (entries !== undefined && !faults.some(({ code }) => code === 'invalid-partition-table')) {
    faults.push(...bootImageFaults(report.bootEntries, entries, report.partitions))
  }
  const isVolume = report.volumeSize > 0
  const structure = (name: CheckName, detail: string, isAbsent = false): VerificationCheck => {
    const found = new Set(faults.filter(({ code }) => checkOf[code] === name).map(({ message }) => message))
    if (found.size > 0) return { name, ok: false, skipped: false, detail: [...found].join(' ') }
    if (!isVolume)
      return { name, ok: true, skipped: true, detail: 'Without a volume there is nothing to check.' }
    return { name, ok: true, skipped: isAbsent, detail }
  }
  const { bootEntries, partitions, volumeId } = report
  const checks = [
    checkObjects(image),
    structure('volume-descriptors', `The volume is ${volumeId}, of ${report.volumeSize} bytes.`),
    structure('boot-catalog', `It has images for ${bootEntries.map((entry) => entry.platform).join(', ')}.`),
    structure(
      'partition-tables',
      `They have ${partitions.map(({ table, number }) => `${table.toUpperCase()} partition ${number}`).join(', ') || 'no partitions'}.`,
    ),
    structure(
      'directory-trees',
      trees === undefined
        ? 'They cannot all be found.'
        : `${trees.trees} trees show the same ${report.fileCount} files.`,
      trees === undefined,
    ),
    structure('extent', `The image ends where its structures say, at byte ${image.manifest.size}.`),
    structure('squashfs', squashfs.join(' ') || 'The image has no squashfs.', squashfs.length === 0),
    await checkInputs(store, stored, image, entries),
  ]
  const isSound = checks.every(({ ok }) => ok)
  const { check, sha256 } = await checkDigest(store, stored, image, isSound)
  checks.push(check)
  return { ok: isSound && check.ok, checks, ...(sha256 === undefined ? {} : { sha256 }) }
}

/** What there is to tell of an image that cannot be read because stored bytes of it are damaged. */
export function damageReport({ message }: DamagedObject): VerificationReport {
  const checks = verificationChecks.map((name): VerificationCheck =>
    name === 'objects'
      ? { name, ok: false, skipped: false, detail: message }
      : { name, ok: true, skipped: true, detail: 'What is damaged cannot be read.' },
  )
  return { ok: false, checks }
}

/** Adds the fault that ends a part of the check to the others. */
async function collect<T>(faults: IsoFault[], part: Promise<T>): Promise<T | undefined> {
  try {
    return await part
  } catch (error) {
    if (!(error instanceof IsoError)) throw error
    faults.push({ code: error.code, message: error.message })
    return undefined
  }
}

async function readEntries({ reader }: StoredImage): Promise<TreeEntry[]> {
  return Array.fromAsync(walkTree(reader, (await readVolumes(reader)).primary))
}

function checkObjects({ manifest, missing }: StoredImage): VerificationCheck {
  const [ok, detail] =
    missing === undefined
      ? [true, `The store has all ${manifest.size} bytes.`]
      : [
          false,
          `The object ${missing.object} is missing or too short: it lacks byte ${missing.offset} of the image.`,
        ]
  return { name: 'objects', ok, skipped: false, detail }
}

async function checkSquashfs(
  { reader }: StoredImage,
  entries: readonly TreeEntry[] | undefined,
  faults: IsoFault[],
): Promise<string[]> {
  const told: string[] = []
  for (const { path, type, size, extents } of entries ?? []) {
    if (type !== 'file' || !path.endsWith('.squashfs')) continue
    const squashfs = await collect(faults, readSquashfs(reader, extents[0]?.offset ?? 0, size))
    if (squashfs === undefined) continue
    const { bytesUsed, inodeCount, compression } = squashfs
    told.push(`${path} has ${bytesUsed} bytes and ${inodeCount} inodes, compressed with ${compression}.`)
  }
  return told
}

/** Compares the inputs that the build's record proves with the files of the image. */
async function checkInputs(
  store: ObjectStore,
  { artifact }: StoredArtifact,
  image: StoredImage,
  entries: readonly TreeEntry[] | undefined,
): Promise<VerificationCheck> {
  const name = 'inputs'
  if (entries === undefined) {
    return { name, ok: true, skipped: true, detail: 'Without a tree there is nothing to compare.' }
  }
  const build = await readArchivedBuild(store, artifact.buildId)
  const proof = build?.proof
  if (proof?.artifact !== artifact.name) {
    const detail =
      build === undefined
        ? `There is no record of the build ${artifact.buildId} in the store to compare with.`
        : 'The record of the build proves no inputs of this image.'
    return { name, ok: true, skipped: true, detail }
  }
  const files = new Map(entries.filter(({ type }) => type === 'file').map((entry) => [entry.path, entry]))
  const wrong: IsoFault[] = []
  for (const { pointer, paths, sha256 } of proof.inputs) {
    const absent = paths.filter((path) => !files.has(path))
    const parts = paths.flatMap((path) => files.get(path) ?? [])
    if (absent.length > 0) {
      wrong.push({
        code: 'file-not-found',
        message: `${pointer} is not in the image: there is no ${absent.join(', ')}.`,
      })
      continue
    }
    const found = await collect(wrong, digestOfFiles(store, image, parts))
    if (found !== undefined && found.sha256 !== sha256) {
      const message = `${pointer} is in the image with other bytes: ${paths.join(', ')} has the SHA-256 ${found.sha256} in place of ${sha256}.`
      wrong.push({ code: 'file-not-found', message })
    }
  }
  const detail =
    wrong.length === 0
      ? `${proof.inputs.length} inputs are in the image as they were given.`
      : wrong.map(({ message }) => message).join(' ')
  return { name, ok: wrong.length === 0, skipped: false, detail }
}

async function checkDigest(
  store: ObjectStore,
  stored: StoredArtifact,
  image: StoredImage,
  isSound: boolean,
): Promise<{ check: VerificationCheck; sha256?: string }> {
  const name = 'checksum'
  if (image.missing !== undefined) {
    return { check: { name, ok: false, skipped: false, detail: 'The image cannot be read in full.' } }
  }
  const sha256 = await digestOfImage(store, image)
  const recorded = await knownSha256(store, stored)
  if (recorded === undefined) {
    if (isSound) await writeJson(store, digestKey(stored.artifact.etag), { sha256 })
    const detail = `There was no checksum to compare with; ${isSound ? 'this one is recorded now' : 'none is recorded of a faulty image'}.`
    return { check: { name, ok: true, skipped: true, detail }, sha256 }
  }
  const ok = recorded === sha256
  const detail = ok
    ? 'The bytes have the SHA-256 that was recorded.'
    : `The bytes have another SHA-256 than the recorded ${recorded}.`
  return { check: { name, ok, skipped: false, detail }, sha256 }
}
