import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, truncate, watch, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { readBootCatalog } from '@edgesmith/iso/boot-catalog'
import { checkIso } from '@edgesmith/iso/check'
import { findFile, openFile } from '@edgesmith/iso/file'
import { openFileReader, type RandomAccess } from '@edgesmith/iso/random-access'
import { walkTree } from '@edgesmith/iso/tree'
import { readVolumes } from '@edgesmith/iso/volume'
import {
  makeManifest,
  objectManifest,
  objectsOf,
  patchManifest,
  sliceManifest,
  type Manifest,
} from '@edgesmith/manifest/manifest'
import { openManifest } from '@edgesmith/manifest/open-manifest'
import { readBaseImage } from '@edgesmith/compose/base-image'
import { composeImage, type ComposeRequest } from '@edgesmith/compose/compose-image'
import { ComposeError } from '@edgesmith/compose/compose-error'
import { planChanges } from '@edgesmith/compose/plan'
import { writeImage } from '@edgesmith/compose/xorriso'
import { xorrisoCommands } from '@edgesmith/compose/xorriso-commands'
import { path as userDataPath, Workshop, type Layout } from '../../../test/support/image-workshop.ts'
import { assertSameFiles } from '../../../test/support/same-files.ts'

const execFileAsync = promisify(execFile)
const MiB = 1024 * 1024
const GiB = 1024 * MiB
const { signal } = new AbortController()

const userData = Buffer.from('#cloud-config\n# the first\n')
const otherUserData = Buffer.from('#cloud-config\n# the second, which is longer\n')
const partName = '/opt/spectrocloud/content/core.zst_part00'
const newParts = ['/opt/spectrocloud/content/edge.zst_part00', '/opt/spectrocloud/content/edge.zst_part01']
const definitionPath = '/opt/spectrocloud/clusterconfig/spc.tgz'
const keyPath = '/.edge_custom_config.yaml'
const oddPath = '/opt/odd $(touch x) \'name\' -- *?[a]\n"ä".bin'
const definition = randomBytes(20_000)
const edgeConfig = Buffer.from('content: {}\n')
const odd = randomBytes(MiB + 1)
const root = randomBytes(5 * MiB + 7)
const kernel = randomBytes(2 * MiB)
const bundle = randomBytes(6 * MiB + 1234)
const partSize = 4 * MiB + 100

/** One without Joliet and partition offset, whose EFI image is a file of the tree. */
const plainOptions = (workshop: Workshop) => [
  ...['--grub2-boot-info', '--grub2-mbr', join(workshop.directory, 'mbr.img'), '-partition_cyl_align', 'off'],
  ...['--protective-msdos-label', '-eltorito-alt-boot', '-e', 'boot/efi.img', '-no-emul-boot'],
]
const layouts = ['gpt', 'mbr', 'auroraboot', 'plain'] as const satisfies readonly Layout[]

describe('composeImage', () => {
  let workshop: Workshop
  const bases = {} as Record<Layout, Manifest>
  const composed = {} as Record<Layout, Manifest>

  const make = (layout: Layout, key: string, content: Buffer) =>
    workshop.make(layout, key, content, ...(layout === 'plain' ? plainOptions(workshop) : []))

  const compose = (request: ComposeRequest, parts: { signal?: AbortSignal; workDirectory?: string } = {}) =>
    composeImage({ store: workshop.store, signal, ...parts }, request)

  /** Adds of each kind, one in place of another, and a removal. */
  const changesOf = (base: Manifest, layoutKey: string): ComposeRequest => ({
    base,
    remove: [partName],
    add: [
      { path: userDataPath, source: { bytes: otherUserData } },
      { path: '/boot/initrd', source: { extents: objectManifest('uploads/root', root.length).extents } },
      ...newParts.map((path, index) => {
        const offset = index * partSize
        const length = Math.min(partSize, bundle.length - offset)
        return { path, source: { extents: [{ object: 'uploads/bundle', offset, length }] } }
      }),
      {
        path: definitionPath,
        source: { extents: [{ object: 'uploads/definition', offset: 0, length: definition.length }] },
      },
      { path: keyPath, source: { bytes: edgeConfig } },
      { path: oddPath, source: { bytes: odd } },
    ],
    layoutKey,
  })

  /** Applies them to the tree of which xorriso makes images. */
  async function changeTree(): Promise<void> {
    await rm(workshop.file(partName))
    await workshop.write('/boot/initrd', root)
    for (const [index, path] of newParts.entries()) {
      await workshop.write(path, bundle.subarray(index * partSize, (index + 1) * partSize))
    }
    await workshop.write(definitionPath, definition)
    await workshop.write(keyPath, edgeConfig)
    await workshop.write(oddPath, odd)
  }

  before(async () => {
    workshop = await Workshop.open()
    await workshop.write('/rootfs.squashfs', root)
    await workshop.write('/boot/kernel', kernel)
    await workshop.write('/boot/initrd', randomBytes(3 * MiB))
    await workshop.write('/boot/efi.img', randomBytes(1.5 * MiB))
    await workshop.store.put('uploads/bundle', bundle)
    await workshop.store.put('uploads/definition', definition)
    await workshop.store.put('uploads/root', root)
    for (const layout of layouts) bases[layout] = await make(layout, `${layout}.iso`, userData)
    await changeTree()
    for (const layout of layouts) {
      composed[layout] = await compose(changesOf(bases[layout], `${layout}-layout`))
    }
  })
  after(() => workshop[Symbol.asyncDispose]())

  for (const layout of layouts) {
    describe(`of the layout ${layout}`, () => {
      it('makes file for file what xorriso makes of the changed tree', async () => {
        const fresh = await make(layout, 'fresh.iso', otherUserData)
        await assertSameFiles(workshop.read(fresh), workshop.read(composed[layout]))
        assert.deepEqual((await checkIso(workshop.read(composed[layout]))).faults, [])
      })

      it('makes byte for byte what xorriso writes when it is given every byte', async () => {
        const directory = join(workshop.directory, `whole-${layout}`)
        await mkdir(directory)
        const request = changesOf(bases[layout], '')
        const image = await readBaseImage(workshop.read(request.base))
        const { directories, add, large } = planChanges(request.base, image, request)
        const added = []
        for (const [index, { path, content }] of add.entries()) {
          const file = join(directory, String(index))
          const bytes = Buffer.isBuffer(content) ? content : openManifest(workshop.store, content)
          await writeFile(file, bytes)
          added.push({ path, file })
        }
        const commands = xorrisoCommands({
          ...{ image, remove: request.remove, directories, last: [...large.keys()] },
          ...{ base: workshop.image(`${layout}.iso`), add: added },
        })
        const file = join(directory, 'whole.iso')
        await writeImage(commands, { file, directory, signal })
        await using whole = await openFileReader(file)
        assert.equal(composed[layout].size, whole.size)
        const bytes = await buffer(openManifest(workshop.store, composed[layout]))
        assert.ok(bytes.equals(await whole.read(0, whole.size)))
      })

      it('refers to the large files and stores little else', async () => {
        const { size = 0 } = (await workshop.store.stat(`${layout}-layout`)) ?? {}
        const small = 1_300_000 + odd.length + (layout === 'plain' ? 1.5 * MiB : MiB)
        assert.ok(size < small, `${size} bytes were stored`)
        assert.deepEqual(objectsOf(composed[layout]).sort(), [
          ...[`${layout}-layout`, `${layout}.iso`].sort(),
          ...['uploads/bundle', 'uploads/root'],
        ])
        for (const [path, object] of Object.entries({
          '/rootfs.squashfs': `${layout}.iso`,
          '/boot/kernel': `${layout}.iso`,
          '/boot/initrd': 'uploads/root',
          [newParts[1] ?? '']: 'uploads/bundle',
        })) {
          assert.deepEqual(await objectsAt(composed[layout], path), [object])
        }
      })

      it('keeps modes, owners and times, and gives those of CanvOS to what is new', async () => {
        const before = await attributesOf(workshop.image(`${layout}.iso`))
        const file = await workshop.export(composed[layout], 'attributes.iso')
        const after = await attributesOf(file)
        assert.equal(after.get('/boot/kernel'), before.get('/boot/kernel'))
        // The time of the volume: the trees of these images were made just before.
        for (const [path, mode] of Object.entries({
          [definitionPath]: '-rw-r--r--',
          '/opt/spectrocloud/clusterconfig': 'drwxr-xr-x',
        })) {
          assert.ok(after.get(path)?.startsWith(`${mode} 0 0 `), after.get(path))
        }
      })
    })
  }

  /** The objects that a file of an image is made of. */
  async function objectsAt(image: Manifest, path: string): Promise<string[]> {
    const { extents } = await findFile(workshop.read(image), path)
    return objectsOf(makeManifest(extents.flatMap((extent) => sliceManifest(image, extent))))
  }

  async function attributesOf(file: string): Promise<Map<string, string>> {
    const { stdout } = await execFileAsync('xorriso', ['-indev', file, '-find', '/', '-exec', 'lsdl'])
    return new Map(
      stdout.split('\n').flatMap((line): [string, string][] => {
        const found = /^(\S+)\s+\d+ (\d+)\s+(\d+)\s+\d+ (.*) '(.*)'$/.exec(line)
        return found === null ? [] : [[found[5] ?? '', found.slice(1, 5).join(' ')]]
      }),
    )
  }

  it('composes of what was composed and stamped', async () => {
    const stampedByte = Buffer.from('# an')
    const place = (await findFile(workshop.read(composed.gpt), '/files-iso/another.yaml')).extents[0]
    assert.ok(place)
    await workshop.store.put('stamped', stampedByte)
    const base = patchManifest(composed.gpt, [
      { offset: place.offset, extent: { length: 4, object: 'stamped', offset: 0 } },
    ])
    const again = await compose({ base, remove: [newParts[0] ?? ''], add: [], layoutKey: 'again' })
    assert.deepEqual(await objectsAt(again, '/rootfs.squashfs'), ['gpt.iso'])
    assert.deepEqual(await objectsAt(again, newParts[1] ?? ''), ['uploads/bundle'])
    const file = await buffer(await openFile(workshop.read(again), '/files-iso/another.yaml'))
    assert.equal(file.toString(), '# anud-config\n')
    await assert.rejects(findFile(workshop.read(again), newParts[0] ?? ''))
    assert.deepEqual((await checkIso(workshop.read(again))).faults, [])
  })

  it('makes the same image of the same changes', async () => {
    const twice = await compose(changesOf(bases.gpt, 'twice'))
    const [one, other] = [openManifest(workshop.store, composed.gpt), openManifest(workshop.store, twice)]
    assert.ok((await buffer(one)).equals(await buffer(other)))
  })

  it('keeps a file that two paths name once', async () => {
    const extents = [{ object: 'uploads/bundle', offset: 0, length: bundle.length }]
    const add = ['/one', '/other'].map((path) => ({ path, source: { extents } }))
    const image = await compose({ base: bases.gpt, remove: [], add, layoutKey: 'shared' })
    for (const { path } of add) {
      assert.ok((await buffer(await openFile(workshop.read(image), path))).equals(bundle))
    }
    const less = await compose({ base: image, remove: ['/one'], add: [], layoutKey: 'shared-less' })
    assert.ok((await buffer(await openFile(workshop.read(less), '/other'))).equals(bundle))
  })

  it('lays out images of more than 4 GiB', async () => {
    const add = [
      { path: '/opt/3g', source: { extents: await sparse('uploads/3g', 3_000_000_000) } },
      { path: '/opt/2g', source: { extents: await sparse('uploads/2g', 2 * GiB) } },
    ]
    for (const layout of ['gpt', 'mbr', 'auroraboot'] as const) {
      const wide = await compose({ base: bases[layout], remove: [], add: add.slice(0, 2), layoutKey: 'wide' })
      assert.ok(wide.size > 4 * GiB)
      await assertSizes(workshop.read(wide), { '/opt/3g': 3_000_000_000, '/opt/2g': 2 * GiB })
    }
  })

  it('lays out files of more than 4 GiB', async () => {
    const huge = 4 * GiB + 5
    const add = [{ path: '/opt/4g', source: { extents: await sparse('uploads/4g', huge) } }]
    const base = await compose({ base: bases.gpt, remove: [], add, layoutKey: 'huge' })
    await assertSizes(workshop.read(base), { '/opt/4g': huge })
    assert.equal((await findFile(workshop.read(base), '/opt/4g')).extents.length, 2)
    // Now the base has a file of several extents.
    const image = await compose({ base, remove: [partName], add: [], layoutKey: 'huge-again' })
    await assertSizes(workshop.read(image), { '/opt/4g': huge })
    assert.deepEqual(await objectsAt(image, '/opt/4g'), ['uploads/4g'])
  })

  /** Makes an object of that size without writing its zeros. */
  async function sparse(key: string, size: number): Promise<Manifest['extents']> {
    await mkdir(join(workshop.image(key), '..'), { recursive: true })
    await writeFile(workshop.image(key), 'begin')
    await truncate(workshop.image(key), size)
    await workshop.keep(key)
    return objectManifest(key, size).extents
  }

  async function assertSizes(reader: RandomAccess, sizes: Record<string, number>): Promise<void> {
    const report = await checkIso(reader)
    assert.deepEqual(report.faults, [])
    assert.equal(report.volumeSize, reader.size)
    const { primary, joliet } = await readVolumes(reader)
    assert.ok(joliet)
    for (const volume of [primary, joliet]) {
      const found = new Map<string, number>()
      for await (const { path, size } of walkTree(reader, volume)) found.set(path, size)
      for (const [path, size] of Object.entries(sizes)) assert.equal(found.get(path), size)
    }
    for (const path of Object.keys(sizes)) {
      const { extents } = await findFile(reader, path)
      assert.equal((await reader.read(extents[0]?.offset ?? 0, 5)).toString(), 'begin')
    }
    const efi = (await readBootCatalog(reader, (await readVolumes(reader)).bootCatalogOffset ?? 0))[1]
    const partition = report.partitions.find(({ offset }) => offset === efi?.offset)
    assert.equal(partition?.length, MiB)
  }

  it('refuses paths that are none, that are not there, and that are needed to boot', async () => {
    const base = bases.gpt
    const add = (path: string) => [{ path, source: { bytes: Buffer.from('x') } }]
    for (const path of ['relative', '/', '/a//b', '/a/../b', '/a\0b', `/${'n'.repeat(256)}`]) {
      await assert.rejects(compose({ base, remove: [], add: add(path), layoutKey: 'no' }), RangeError)
    }
    const twice = [...add('/twice'), ...add('/twice')]
    await assert.rejects(compose({ base, remove: [], add: twice, layoutKey: 'no' }), RangeError)
    for (const path of ['/absent', '/boot', '/boot/eltorito.img', '/boot/boot.catalog']) {
      await assert.rejects(compose({ base, remove: [path], add: [], layoutKey: 'no' }), ComposeError)
    }
    for (const path of ['/boot', '/rootfs.squashfs/below', '/new']) {
      const request = { base, remove: [], add: [...add('/new/below'), ...add(path)], layoutKey: 'no' }
      await assert.rejects(compose(request), ComposeError)
    }
    assert.equal(await workshop.store.stat('no'), undefined)
  })

  it('refuses a base whose boot equipment xorriso does not know, and stores nothing', async () => {
    const base = await workshop.make('plain', 'unknown.iso', userData)
    await assert.rejects(
      compose({ base, remove: [], add: [], layoutKey: 'unknown-layout' }),
      new ComposeError(
        'The image would be faulty: It lacks the MBR partition 1 of type 17. It has another MBR partition 1 of type 00.',
      ),
    )
    assert.equal(await workshop.store.stat('unknown-layout'), undefined)
  })

  it('removes its directory, when it ends and when it is aborted', async () => {
    const workDirectory = join(workshop.directory, 'work')
    await mkdir(workDirectory)
    await compose(changesOf(bases.gpt, 'once-more'), { workDirectory })
    assert.deepEqual(await readdir(workDirectory), [])

    const abort = new AbortController()
    const extents = await sparse('uploads/5g', 5 * GiB)
    const request = {
      base: bases.gpt,
      remove: [],
      add: [{ path: '/5g', source: { extents } }],
      layoutKey: 'aborted',
    }
    const composing = compose(request, { workDirectory, signal: abort.signal })
    for await (const { filename } of watch(workDirectory, { recursive: true })) {
      if (filename?.endsWith('draft.iso') === true) break
    }
    abort.abort(new Error('enough'))
    await assert.rejects(composing, /enough/)
    assert.deepEqual(await readdir(workDirectory), [])
    assert.equal(await workshop.store.stat('aborted'), undefined)
  })
})
