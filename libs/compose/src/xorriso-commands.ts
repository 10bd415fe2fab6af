import type { BaseImage } from './base-image.ts'

/** A file that is added: `file` has its bytes, or what stands for them. */
export type AddedFile = { readonly path: string; readonly file: string }

export type Changes = {
  /** Path of the local copy of the base. */
  base: string
  image: BaseImage
  remove: readonly string[]
  /** Directories that do not exist, parents first. */
  directories: readonly string[]
  add: readonly AddedFile[]
  /** Paths of the large files, in the order in which they are to lie behind all others. */
  last: readonly string[]
}

/** A weight below that of every file that xorriso loads or is given (xorriso manual, `sort_weight`). */
const lastWeight = -1_000_000_000

/**
 * The commands with which xorriso lays an image out of another and writes it to its standard output: the boot
 * equipment is made anew as it was (`replay`), everything has the time of the base, and what is added belongs
 * to root, as in an image that CanvOS makes.
 */
export function xorrisoCommands({ base, image, remove, directories, add, last }: Changes): string[] {
  const time = `=${Math.floor(image.modifiedAt.getTime() / 1000)}`
  const volumeDate = image.modifiedAt.toISOString().replaceAll(/\D/g, '').slice(0, 16)
  return [
    ...['-report_about', 'WARNING', '-abort_on', 'SORRY', '-return_with', 'SORRY', '32'],
    ...['-iso_rr_pattern', 'off', '-disk_pattern', 'off', '-backslash_codes', 'off'],
    ...['-charset', 'UTF-8', '-iso_nowtime', time, '-stdio_sync', 'off', '-pacifier', 'interval=0.1'],
    ...['-indev', `stdio:${base}`, '-outdev', '-'],
    ...['-joliet', image.hasJoliet ? 'on' : 'off'],
    ...(image.hasLongJolietNames ? ['-compliance', 'joliet_long_names'] : []),
    ...['-boot_image', 'any', 'replay'],
    ...bootSettings.flatMap((setting) => ['-boot_image', 'any', setting]),
    ...['-volume_date', 'uuid', volumeDate, '-padding', '0'],
    ...remove.flatMap((path) => ['-rm_r', path, '--']),
    ...directories.flatMap((path) => ['-mkdir', path, '--', ...attributes(path, '0755', time)]),
    ...add.flatMap(({ path, file }) => ['-map', file, path, ...attributes(path, '0644', time)]),
    ...last.flatMap((path, index) => [
      ...['-find', path, '-exec', 'sort_weight', String(lastWeight - index), '--'],
    ]),
    '-commit',
  ]
}

/**
 * `partition_cyl_align`: nothing depends on the size of a cylinder but the addresses in CHS form, for which the
 * geometry is that of large disks. `gpt_disk_guid`: the same changes make the same image.
 */
const bootSettings = [
  'partition_cyl_align=off',
  'partition_hd_cyl=255',
  'partition_sec_hd=63',
  'gpt_disk_guid=volume_date_uuid',
]

function attributes(path: string, mode: string, time: string): string[] {
  return [
    ...['-chown', '0', path, '--', '-chgrp', '0', path, '--', '-chmod', mode, path, '--'],
    ...['-alter_date', 'b', time, path, '--', '-alter_date', 'c', time, path, '--'],
  ]
}
