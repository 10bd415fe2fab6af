import { Type } from 'typebox'
import { lenient } from './annotations.ts'

const partition = {
  size: Type.Integer({ minimum: 0, description: 'Size in MiB; 0 takes what is left of the disk.' }),
  fs: Type.String({ description: 'File system.', examples: ['ext4'] }),
}

const DefaultPartition = Type.Partial(
  Type.Object({ ...partition, name: Type.String(), label: Type.String(), flags: Type.Array(Type.String()) }),
)

const Image = Type.Partial(Type.Object({ size: Type.Integer({ minimum: 0 }), uri: Type.String() }), {
  description: 'A system image; its size in MiB.',
})

const text = (description: string) => Type.String({ description })

/** Kernel and boot loader settings (Kairos configuration reference, "Grub options"). */
export const GrubOptions = Type.Partial(
  Type.Object({
    default_fallback: text('Default fallback logic.'),
    default_menu_entry: text('Name of the menu entry.'),
    extra_active_cmdline: text('Kernel parameters of the active image.'),
    extra_cmdline: text('Kernel parameters of every entry.'),
    extra_passive_cmdline: text('Kernel parameters of the passive image.'),
    extra_recovery_cmdline: text('Kernel parameters of the recovery image.'),
    next_entry: text('Entry of the next boot.'),
    saved_entry: text('Entry booted by default.'),
  }),
  { description: 'Kernel and boot loader settings.' },
)

/** A bundle of files that Kairos unpacks. */
export const Bundles = Type.Array(
  Type.Partial(
    Type.Object({
      db_path: Type.String(),
      local_file: Type.Boolean(),
      repository: Type.String(),
      rootfs_path: Type.String(),
      targets: Type.Array(Type.String(), {
        description: 'What to unpack.',
        examples: [['run://quay.io/org/image']],
      }),
    }),
  ),
  { ...lenient, description: 'Bundles to unpack.' },
)

const paths = (description: string) =>
  Type.Array(Type.String(), { description, examples: [['/var/lib/osd']] })

/** `install`: what the installer does to the disk, and afterwards (installer reference, "Install Parameters"). */
export const Install = Type.Partial(
  Type.Object({
    auto: Type.Boolean({ description: 'Whether to install without asking.' }),
    bind_mounts: paths('Directories of the host that keep what is written to them.'),
    bundles: Bundles,
    device: Type.String({ description: 'Disk to install to.', examples: ['/dev/sda'] }),
    encrypted_partitions: Type.Array(Type.String(), { description: 'Labels of partitions to encrypt.' }),
    env: Type.Array(Type.Unknown(), { description: 'Environment of the installer, `NAME=value`.' }),
    ephemeral_mounts: paths('Directories that can be written to and lose it with a reboot.'),
    'extra-dirs-rootfs': paths('Directories to create in the root file system.'),
    'extra-partitions': Type.Array(
      Type.Partial(
        Type.Object({ ...partition, name: Type.String(), Name: Type.String(), label: Type.String() }),
      ),
      { description: 'Partitions to create besides the default ones.' },
    ),
    firmware: Type.Enum(['efi', 'bios'], { ...lenient, description: 'Firmware, where it must be forced.' }),
    force: Type.Boolean({ description: 'Whether to install over an existing system.' }),
    'grub-entry-name': Type.String({ description: 'Name of the boot entry.' }),
    grub_options: GrubOptions,
    image: Type.String({ description: 'Container image to install.' }),
    'no-format': Type.Boolean({ description: 'Whether the disk is not partitioned.' }),
    no_format: Type.Boolean({ description: 'Former name of `no-format`.' }),
    'part-table': Type.Enum(['gpt', 'msdos'], { ...lenient, description: 'Kind of partition table.' }),
    partitions: Type.Partial(
      Type.Object({
        bios: DefaultPartition,
        efi: DefaultPartition,
        oem: DefaultPartition,
        persistent: DefaultPartition,
        recovery: DefaultPartition,
        state: DefaultPartition,
      }),
      { description: 'Sizes and file systems of the default partitions.' },
    ),
    passive: Image,
    poweroff: Type.Boolean({ default: false, description: 'Whether the host powers off when installed.' }),
    reboot: Type.Boolean({ default: false, description: 'Whether the host reboots when installed.' }),
    'recovery-system': Image,
    skip_copy_kcrypt_plugin: Type.Boolean(),
    system: Image,
  }),
  { description: 'What the installer does to the disk, and when it is done.' },
)
