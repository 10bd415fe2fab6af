import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { appendFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { ImageReader } from '@edgesmith/manifest/image-reader'
import { objectManifest, patchManifest, type Manifest } from '@edgesmith/manifest/manifest'
import { openManifest } from '@edgesmith/manifest/open-manifest'
import type { UserDataSlot } from '@edgesmith/stamp/slot'
import { stamp } from '@edgesmith/stamp/stamp'
import { BlockSums } from '@edgesmith/store/block-sums'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'

const execFileAsync = promisify(execFile)

export const path = '/files-iso/config.yaml'

const longName = `${'a-name-that-joliet-cuts.'.repeat(4)}yaml`

/** The files beside the user-data. */
const others: Readonly<Record<string, Buffer>> = {
  '/boot/eltorito.img': randomBytes(30_001),
  '/boot/grub2/grub.cfg': Buffer.from('set default=0\n'),
  '/opt/spectrocloud/content/core.zst_part00': randomBytes(700_001),
  [`/opt/${longName}`]: Buffer.from('#cloud-config\n'),
  [`/opt/other/${longName}`]: Buffer.from('#cloud-config\n# another\n'),
  '/a/b/c/d/e/f/g/h/i/j/deep': Buffer.from('deep'),
  '/files-iso/another.yaml': Buffer.from('#cloud-config\n'),
  '/rootfs.squashfs': randomBytes(900_000),
  '/empty': Buffer.alloc(0),
}

export const longPath = `/opt/${longName}`

/**
 * A directory with what xorriso makes images of. The images are files, and objects of a store.
 */
export class Workshop {
  readonly directory: string
  readonly store: ObjectStore

  private constructor(directory: string, store: ObjectStore) {
    this.directory = directory
    this.store = store
  }

  static async open(): Promise<Workshop> {
    const directory = await mkdtemp(join(tmpdir(), 'edgesmith-stamp-'))
    await mkdir(join(directory, 'images'))
    const workshop = new Workshop(directory, await openDirectoryStore(join(directory, 'store')))
    for (const [name, bytes] of Object.entries(others)) await workshop.write(name, bytes)
    await symlink('grub2/grub.cfg', workshop.file('/boot/link'))
    await writeFile(join(directory, 'efi.img'), randomBytes(1024 * 1024))
    await writeFile(join(directory, 'mbr.img'), randomBytes(512))
    return workshop
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.directory, { recursive: true, force: true })
  }

  /** Path of a file in the tree of which images are made. */
  file(name: string): string {
    return join(this.directory, 'tree', name)
  }

  async write(name: string, bytes: Buffer): Promise<void> {
    await mkdir(dirname(this.file(name)), { recursive: true })
    await writeFile(this.file(name), bytes)
  }

  /** Makes an image of the tree, with `userData` in its place. */
  async make(layout: Layout, key: string, userData: Buffer, ...options: string[]): Promise<Manifest> {
    await this.write(path, userData)
    const command = layouts[layout](this.directory)
    const output = this.image(key)
    // Sparse, so that an image of some GiB of zeros takes no room.
    const script = 'output=$1; shift; xorriso "$@" | dd of="$output" bs=1M iflag=fullblock conv=sparse'
    await execFileAsync('bash', ['-o', 'pipefail', '-c', script, 'bash', output, ...command, ...options])
    await this.keep(key)
    return this.whole(key)
  }

  /** Path of an image that is a file. */
  image(key: string): string {
    return join(this.directory, 'images', key)
  }

  /** Makes an image that is a file an object, without writing its zeros. */
  async keep(key: string): Promise<void> {
    const object = join(this.directory, 'store', '.objects', key)
    await mkdir(dirname(object), { recursive: true })
    await execFileAsync('cp', ['--sparse=always', this.image(key), object])
    const sums = new BlockSums()
    const chunks: AsyncIterable<Buffer> = createReadStream(object, { highWaterMark: 1024 ** 2 })
    for await (const chunk of chunks) sums.add(chunk)
    await appendFile(object, sums.trailer())
  }

  async whole(key: string): Promise<Manifest> {
    const size = (await this.store.stat(key))?.size
    if (size === undefined) throw new Error(`xorriso made no image ${key}`)
    return objectManifest(key, size)
  }

  read(image: Manifest): ImageReader {
    return new ImageReader(this.store, image)
  }

  /** Replaces the user-data of an image; what is new is stored behind other bytes of the object `key`. */
  async stamp(image: Manifest, slot: UserDataSlot, userData: Buffer, key = 'stamp'): Promise<Manifest> {
    const before = randomBytes(100)
    const { bytes, patches } = stamp(slot, userData)
    await this.store.put(key, Buffer.concat([before, bytes]))
    return patchManifest(image, patches(key, before.length))
  }

  /** Writes an image, or what follows its first `skip` bytes, to a file. */
  async export(image: Manifest, name: string, skip = 0): Promise<string> {
    const file = join(this.directory, name)
    const dd = spawn('dd', [`of=${file}`, 'bs=1M', 'iflag=fullblock', 'conv=sparse', 'status=none'], {
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    const ended = new Promise<number | null>((resolve, reject) =>
      dd.once('error', reject).once('exit', resolve),
    )
    await pipeline(openManifest(this.store, image, { offset: skip, length: image.size - skip }), dd.stdin)
    if ((await ended) !== 0) throw new Error(`${file} cannot be written`)
    return file
  }
}

/**
 * How the tags of CanvOS lay out an image: the two of the fixture's iso-builder, that of AuroraBoot itself
 * (AuroraBoot: pkg/ops/iso.go, pkg/constants/constants.go), and one without Joliet and partition offset.
 */
const layouts = {
  gpt: (directory: string) => builderOptions(directory, '-appended_part_as_gpt'),
  mbr: (directory: string) => builderOptions(directory),
  auroraboot: (directory: string) => [
    ...['-volid', 'COS_LIVE', '-joliet', 'on', '-padding', '0', '-outdev', 'stdio:/dev/fd/1'],
    ...['-map', join(directory, 'tree'), '/', '-chmod', '0755', '--'],
    ...['-boot_image', 'grub', 'bin_path=/boot/eltorito.img'],
    ...['-boot_image', 'grub', `grub2_mbr=${directory}/mbr.img`, '-boot_image', 'grub', 'grub2_boot_info=on'],
    ...anyBoot('partition_offset=16', 'cat_path=/boot/boot.catalog', 'cat_hidden=on', 'boot_info_table=on'),
    ...anyBoot('platform_id=0x00', 'emul_type=no_emulation', 'load_size=2048', 'next'),
    ...anyBoot('platform_id=0xef', 'emul_type=no_emulation'),
    ...['-append_partition', '2', '0xef', join(directory, 'efi.img')],
    ...anyBoot(
      'efi_path=--interval:appended_partition_2:all::',
      'appended_part_as=gpt',
      'mbr_force_bootable=on',
    ),
  ],
  plain: (directory: string) => [
    ...['-as', 'mkisofs', '-quiet', '-o', '-', '-V', 'COS_LIVE', '-R', '-c', 'boot/boot.catalog'],
    ...['-b', 'boot/eltorito.img', '-no-emul-boot', '-boot-load-size', '4', '-boot-info-table'],
    ...['-isohybrid-mbr', join(directory, 'mbr.img'), join(directory, 'tree')],
  ],
} as const

export type Layout = keyof typeof layouts
export const allLayouts = Object.keys(layouts) as Layout[]

function anyBoot(...settings: string[]): string[] {
  return settings.flatMap((setting) => ['-boot_image', 'any', setting])
}

/** The options of deploy/fixture/images/tools/iso-builder. */
function builderOptions(directory: string, ...layout: string[]): string[] {
  return [
    ...['-report_about', 'WARNING', '-as', 'mkisofs', '-quiet', '-o', '-'],
    ...['-V', 'COS_LIVE', '-R', '-J', '-iso-level', '3', '-no-pad', '-partition_offset', '16'],
    ...['-c', 'boot/boot.catalog', '-b', 'boot/eltorito.img', '-no-emul-boot', '-boot-load-size', '4'],
    ...['-boot-info-table', '--grub2-boot-info', '--grub2-mbr', join(directory, 'mbr.img')],
    ...['--mbr-force-bootable', '-append_partition', '2', '0xef', join(directory, 'efi.img'), ...layout],
    ...[
      '-eltorito-alt-boot',
      '-e',
      '--interval:appended_partition_2:all::',
      '-no-emul-boot',
      join(directory, 'tree'),
    ],
  ]
}
