import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { dataKey, findArtifact, recordChecksum, recordImage } from '@edgesmith/artifacts/artifacts'
import { knownSha256 } from '@edgesmith/artifacts/digest'
import { archiveKey } from '@edgesmith/builds/build-archive'
import type { Build, BuildProof } from '@edgesmith/contract/build'
import type { Problem } from '@edgesmith/contract/problem'
import { verificationChecks, type VerificationReport } from '@edgesmith/contract/verification'
import { readBootCatalog } from '@edgesmith/iso/boot-catalog'
import { walkTree, type TreeEntry } from '@edgesmith/iso/tree'
import { readVolumeSets, volumesOf } from '@edgesmith/iso/volume-sets'
import { readVolumes } from '@edgesmith/iso/volume'
import { objectManifest, patchManifest } from '@edgesmith/manifest/manifest'
import type { CalledService } from '@edgesmith/service/lifecycle'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { writeJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { bufferReader } from '../../../test/support/buffer-reader.ts'
import { fetch } from '../../../test/support/as-gateway.ts'
import { ownProject, ownStore } from '../../../test/support/projects.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import { startArtifact } from '../src/service.ts'
import { buildId, makeImages, sha256Of, storeImage, userData, userDataPath } from './images.ts'

/** A path's entries, one of each tree. */
async function entriesOf(image: Buffer, path: string): Promise<TreeEntry[]> {
  const reader = bufferReader(image)
  const found: TreeEntry[] = []
  for (const volume of (await readVolumeSets(reader)).flatMap(volumesOf)) {
    for await (const entry of walkTree(reader, volume)) if (entry.path === path) found.push(entry)
  }
  return found
}

async function placeOf(image: Buffer, path: string): Promise<number> {
  const offset = (await entriesOf(image, path))[0]?.extents[0]?.offset
  assert.ok(offset !== undefined, path)
  return offset
}

/** Where the boot catalogue is, in bytes of the image. */
async function catalogOf(image: Buffer): Promise<number> {
  const { bootCatalogOffset } = await readVolumes(bufferReader(image))
  assert.ok(bootCatalogOffset !== undefined)
  return bootCatalogOffset
}

function flip(image: Buffer, offset: number, mask = 1): Buffer {
  const flipped = Buffer.from(image)
  flipped.writeUInt8(flipped.readUInt8(offset) ^ mask, offset)
  return flipped
}

describe('POST /v1/artifacts/{id}/verify', () => {
  let directory: string
  let store: ObjectStore
  let service: CalledService
  let made: Awaited<ReturnType<typeof makeImages>>

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-verify-'))
    const whole = await openDirectoryStore(directory)
    store = ownStore(whole)
    made = await makeImages()
    service = await startArtifact(
      {
        logLevel: 'silent',
        host: '127.0.0.1',
        port: 0,
        internal: { host: '127.0.0.1', port: 0 },
        serviceTlsDirectory: tlsDirectoryOf('artifact'),
        publicUrl: undefined,
        trustedProxies: [],
        signingKeys: ['k'.repeat(32)],
        objectStore: { kind: 'directory', directory },
      },
      { store: whole },
    )
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await rm(directory, { recursive: true })
  })

  const post = (id: string) => fetch(`${service.internalUrl}/v1/artifacts/${id}/verify`, { method: 'POST' })
  async function verify(id: string): Promise<VerificationReport> {
    const response = await post(id)
    assert.equal(response.status, 200)
    const report = (await response.json()) as VerificationReport
    assert.deepEqual(
      report.checks.map(({ name }) => name),
      verificationChecks,
    )
    assert.equal(
      report.ok,
      report.checks.every(({ ok }) => ok),
    )
    return report
  }
  const failed = ({ checks }: VerificationReport) => checks.filter(({ ok }) => !ok).map(({ name }) => name)
  const skipped = ({ checks }: VerificationReport) =>
    checks.filter((check) => check.skipped).map(({ name }) => name)
  const proveInputs = (inputs: BuildProof['inputs']) =>
    writeJson(store, archiveKey.record(buildId), {
      id: buildId,
      ...ownProject,
      state: 'succeeded',
      target: 'iso',
      canvos: { tag: 'v4.9.36', commit: '0'.repeat(40) },
      spec: { canvos: { tag: 'v4.9.36' }, target: 'iso', arguments: {}, labels: {}, timeoutSeconds: 7200 },
      arguments: {},
      labels: {},
      attempt: 1,
      createdAt: new Date().toISOString(),
      proof: { artifact: 'site.iso', inputs, unproved: [] },
      artifacts: [],
      diagnostics: [],
    } satisfies Build)
  const provenUserData = {
    pointer: '/inputs/userData',
    paths: [userDataPath],
    sha256: sha256Of(userData),
    size: userData.length,
  }

  it('finds no fault in an image of either layout, and records its SHA-256 once', async () => {
    await store.remove(archiveKey.record(buildId))
    for (const image of Object.values(made.images)) {
      const { id } = await storeImage(store, image)
      const first = await verify(id)
      assert.deepEqual(failed(first), [], JSON.stringify(first.checks))
      assert.deepEqual(skipped(first), ['inputs', 'checksum'])
      assert.equal(first.sha256, sha256Of(image))
      const stored = await findArtifact(store, id)
      assert.ok(stored)
      assert.equal(await knownSha256(store, stored), sha256Of(image))
      assert.deepEqual(skipped(await verify(id)), ['inputs'])
    }
  })

  it('finds no fault in a stamped image, and its user-data', async () => {
    const { newLayout } = made.images
    const [base, stamp] = [await storeImage(store, newLayout), 'artifacts/stamp']
    const changed = Buffer.from(userData.toString().replace('0042', '0043'))
    await store.put(stamp, changed)
    const offset = await placeOf(newLayout, userDataPath)
    const manifest = patchManifest(objectManifest(dataKey(base.id), newLayout.length), [
      { offset, extent: { length: changed.length, object: stamp, offset: 0 } },
    ])
    const { id } = await recordImage(store, { buildId, name: 'site.iso', manifest })
    await proveInputs([{ ...provenUserData, sha256: sha256Of(changed) }])
    const report = await verify(id)
    assert.deepEqual(failed(report), [])
    assert.deepEqual(skipped(report), ['checksum'])
    assert.deepEqual(failed(await verify(base.id)), ['inputs'])
  })

  it('finds inputs that are not there', async () => {
    const { id } = await storeImage(store, made.images.oldLayout)
    await proveInputs([provenUserData, { ...provenUserData, paths: ['/files-iso/other.yaml'] }])
    const report = await verify(id)
    assert.deepEqual(failed(report), ['inputs'])
    assert.match(
      report.checks.find(({ name }) => name === 'inputs')?.detail ?? '',
      /no \/files-iso\/other\.yaml/,
    )
  })

  it('joins the parts of an input that was split', async () => {
    const { id } = await storeImage(store, made.images.oldLayout)
    const paths = ['/boot/grub2/grub.cfg', '/empty', userDataPath]
    const whole = Buffer.concat(paths.map((path) => made.files.get(path) ?? Buffer.alloc(0)))
    const proof = { pointer: '/inputs/content/0', paths, sha256: sha256Of(whole), size: whole.length }
    await proveInputs([proof])
    assert.deepEqual(failed(await verify(id)), [])
    await proveInputs([{ ...proof, paths: paths.toReversed() }])
    assert.deepEqual(failed(await verify(id)), ['inputs'])
  })

  const corruptions: [
    string,
    'newLayout' | 'oldLayout',
    (image: Buffer) => Promise<Buffer> | Buffer,
    string[],
  ][] = [
    ['user-data', 'newLayout', async (image) => flip(image, await placeOf(image, userDataPath)), ['inputs']],
    ['user-data', 'oldLayout', async (image) => flip(image, await placeOf(image, userDataPath)), ['inputs']],
    ...[0, 12, 22, 28, 47, 55, 71].map((offset): (typeof corruptions)[number] => [
      `byte ${offset} of the squashfs superblock`,
      'newLayout',
      async (image) => flip(image, (await placeOf(image, '/rootfs.squashfs')) + offset),
      ['squashfs'],
    ]),
    ...[0, 1, 28, 30, 32, 40].map((offset): (typeof corruptions)[number] => [
      `byte ${offset} of the boot catalogue`,
      'oldLayout',
      async (image) => flip(image, (await catalogOf(image)) + offset, 0x41),
      ['boot-catalog'],
    ]),
    [
      'the place of the EFI image in the boot catalogue',
      'newLayout',
      async (image) => flip(image, (await catalogOf(image)) + 96 + 8),
      ['boot-catalog'],
    ],
    ['the header of the GPT', 'newLayout', (image) => flip(image, 512 + 40), ['partition-tables']],
    ['an entry of the GPT', 'newLayout', (image) => flip(image, 1024 + 40), ['partition-tables']],
    ['the backup GPT', 'newLayout', (image) => flip(image, image.length - 512 + 60), ['partition-tables']],
    ['the volume descriptor', 'newLayout', (image) => flip(image, 16 * 2048 + 80), ['volume-descriptors']],
    ['the volume descriptor', 'oldLayout', (image) => flip(image, 16 * 2048 + 2), ['volume-descriptors']],
    [
      'the Joliet tree alone',
      'newLayout',
      async (image) => {
        const record = (await entriesOf(image, userDataPath))[1]?.recordOffsets[0] ?? 0
        return flip(flip(image, record + 2), record + 9)
      },
      ['directory-trees'],
    ],
    [
      'a name in the inner tree alone',
      'newLayout',
      async (image) => {
        const record = (await entriesOf(image, '/empty'))[2]?.recordOffsets[0] ?? 0
        return flip(image, image.indexOf('NM', record) + 5)
      },
      ['directory-trees'],
    ],
    ['bytes behind the end', 'oldLayout', (image) => Buffer.concat([image, randomBytes(2048)]), ['extent']],
  ]
  for (const [what, layout, corrupt, expected] of corruptions) {
    it(`finds a fault in ${what} (${layout})`, async () => {
      await proveInputs([provenUserData])
      const corrupted = await corrupt(made.images[layout])
      const { id } = await storeImage(store, corrupted)
      const report = await verify(id)
      assert.deepEqual(failed(report), expected, JSON.stringify(report.checks, undefined, 1))
      assert.equal(report.sha256, sha256Of(corrupted))
      const stored = await findArtifact(store, id)
      assert.ok(stored)
      assert.equal(await knownSha256(store, stored), undefined, 'the digest of a faulty image is kept')
    })
  }

  it('finds any changed byte by the recorded SHA-256', async () => {
    await proveInputs([provenUserData])
    const { oldLayout } = made.images
    const { id } = await storeImage(store, oldLayout)
    assert.ok((await verify(id)).ok)
    const place = await placeOf(oldLayout, '/rootfs.squashfs')
    for (const offset of [100, place + 8, place + 200, oldLayout.length - 1]) {
      await store.put(dataKey(id), flip(oldLayout, offset))
      assert.deepEqual(failed(await verify(id)).slice(-1), ['checksum'], `byte ${offset}`)
    }
  })

  it('finds an object that is cut off, or gone', async () => {
    await proveInputs([provenUserData])
    for (const image of Object.values(made.images)) {
      const { id } = await storeImage(store, image)
      for (const size of [image.length - 1, Math.floor(image.length / 2), 40_000, 0]) {
        await store.put(dataKey(id), image.subarray(0, size))
        const report = await verify(id)
        assert.ok(failed(report).includes('objects') && failed(report).includes('checksum'), `${size} bytes`)
        assert.equal(report.sha256, undefined)
      }
      await store.remove(dataKey(id))
      assert.ok(failed(await verify(id)).includes('objects'))
    }
  })

  it('answers a problem for what is no ISO image', async () => {
    const image = await storeImage(store, made.images.oldLayout)
    const response = await post((await recordChecksum(store, image)).id)
    assert.equal(response.status, 422)
    assert.equal(((await response.json()) as Problem).type, 'urn:edgesmith:problem:not-an-iso')
    assert.equal((await post(buildId)).status, 404)
  })

  it('tells the boot images of the layouts', async () => {
    for (const image of Object.values(made.images)) {
      const entries = await readBootCatalog(bufferReader(image), await catalogOf(image))
      const { id } = await storeImage(store, image)
      const check = (await verify(id)).checks.find(({ name }) => name === 'boot-catalog')
      for (const { platform } of entries) assert.match(check?.detail ?? '', new RegExp(platform))
    }
  })
})
