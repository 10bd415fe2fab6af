import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, constants, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execFileAsync = promisify(execFile)

const grubMbr = '/usr/lib/grub/i386-pc/boot_hybrid.img'

/** The content every image of these tests has, by path. */
export const contents = {
  '/boot/grub2/grub.cfg': Buffer.from('set default=0\n'),
  '/files-iso/config.yaml': Buffer.from('#cloud-config\nstylus:\n  site:\n    name: store-0042\n'),
  '/opt/spectrocloud/content/Core-Spectro-Content.With.A.Rather.Long.Name_part00': randomBytes(3_000_001),
  [`/opt/long/${'n'.repeat(230)}`]: Buffer.from('a name that needs a continuation area'),
  '/a/b/c/d/e/f/g/h/i/j/Deep file.txt': Buffer.from('deep'),
  '/.edge_custom_config.yaml': Buffer.from('content: {}\n'),
  '/empty': Buffer.alloc(0),
}

/** Fails with the name of the Debian package when a file of it is absent. */
async function requireDebianPackage(path: string, name: string): Promise<void> {
  try {
    await access(path, constants.R_OK)
  } catch {
    throw new Error(
      `${path} is absent: these tests need the Debian package ${name} (apt-get install ${name}).`,
    )
  }
}

/** Makes a temporary directory with the input tree; dispose of the answer to remove it. */
export async function openImageWorkshop(): Promise<{ directory: string } & AsyncDisposable> {
  await requireDebianPackage('/usr/bin/xorriso', 'xorriso')
  await requireDebianPackage('/usr/sbin/mkfs.vfat', 'dosfstools')
  await requireDebianPackage(grubMbr, 'grub-pc-bin')
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-iso-'))
  for (const [path, bytes] of Object.entries(contents)) {
    await mkdir(join(directory, 'tree', path, '..'), { recursive: true })
    await writeFile(join(directory, 'tree', path), bytes)
  }
  await symlink('grub2/grub.cfg', join(directory, 'tree/boot/link'))
  await writeFile(join(directory, 'tree/boot/bios.img'), randomBytes(2048))
  await writeFile(join(directory, 'efi.img'), '')
  await truncate(join(directory, 'efi.img'), 4 * 1024 * 1024)
  await execFileAsync('/usr/sbin/mkfs.vfat', [join(directory, 'efi.img')])
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) }
}

/** Runs xorriso as mkisofs over the input tree. */
export async function makeImage(directory: string, name: string, options: string[]): Promise<string> {
  const path = join(directory, name)
  await execFileAsync('xorriso', ['-as', 'mkisofs', '-o', path, ...options, join(directory, 'tree')])
  return path
}

const biosBoot = [
  '-b',
  'boot/bios.img',
  '-no-emul-boot',
  '-boot-load-size',
  '4',
  '-boot-info-table',
  '-c',
  'boot/boot.cat',
]

/** As tags of AuroraBoot make it: GPT, the EFI partition appended, partition offset 16, Joliet. */
export function makeNewLayout(directory: string, name = 'new.iso'): Promise<string> {
  return makeImage(directory, name, [
    ...[
      '-V',
      'COS_LIVE',
      '-J',
      '-joliet-long',
      '-R',
      '-iso-level',
      '3',
      '-partition_offset',
      '16',
      ...biosBoot,
    ],
    ...['--grub2-mbr', grubMbr, '-append_partition', '2', '0xef', join(directory, 'efi.img')],
    ...['-appended_part_as_gpt', '-eltorito-alt-boot', '-e', '--interval:appended_partition_2:all::'],
    '-no-emul-boot',
  ])
}

/** As older tags make it: an MBR alone. */
export function makeOldLayout(directory: string, name = 'old.iso'): Promise<string> {
  return makeImage(directory, name, [
    ...['-V', 'COS_LIVE', '-R', ...biosBoot, '-isohybrid-mbr', grubMbr, '-partition_cyl_align', 'off'],
    ...['-eltorito-alt-boot', '-e', 'boot/bios.img', '-no-emul-boot'],
  ])
}

/** Makes an image that holds the one file in `directory`/sparse, without writing its zeros. */
export async function makeSparseImage(directory: string, name: string): Promise<string> {
  const path = join(directory, name)
  const image = spawn(
    'sh',
    [
      '-c',
      'xorriso -as mkisofs -iso-level 3 -R -o - "$1" | dd of="$2" bs=1M iflag=fullblock conv=sparse',
      'sh',
      join(directory, 'sparse'),
      path,
    ],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  )
  await new Promise((resolve, reject) => image.once('error', reject).once('exit', resolve))
  return path
}
