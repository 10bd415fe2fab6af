import { Type } from 'typebox'
import { lenient } from './annotations.ts'

/** The stages of the installer reference and of Kairos, with what runs in each. */
export const stageNames = {
  rootfs: 'in the initrd, once the root file system is mounted',
  initramfs: 'in the root file system, before the switch to it; the stage for users',
  boot: 'while the system boots',
  fs: 'when the persistent partitions are mounted',
  network: 'when the network is available',
  reconcile: 'five minutes after boot and every hour',
  'before-install': 'before the installation',
  'after-install': 'after the installation',
  'after-install-chroot': 'after the installation, within the new system',
  'before-upgrade': 'before an upgrade',
  'after-upgrade': 'after an upgrade',
  'after-upgrade-chroot': 'after an upgrade, within the new system',
  'before-reset': 'before a reset',
  'after-reset': 'after a reset',
  'after-reset-chroot': 'after a reset, within the new system',
  'kairos-install.pre': 'before the installer starts',
  'kairos-install.after': 'when the installer is done',
  'kairos-uki-install.pre': 'before the installer starts, with Trusted Boot',
  'kairos-uki-install.after': 'when the installer is done, with Trusted Boot',
  'kairos-uki-reset.pre': 'before a reset, with Trusted Boot',
  'kairos-uki-reset.after': 'after a reset, with Trusted Boot',
  'kairos-uki-upgrade.pre': 'before an upgrade, with Trusted Boot',
  'kairos-uki-upgrade.after': 'after an upgrade, with Trusted Boot',
} as const satisfies Record<string, string>

const texts = (description: string) => Type.Array(Type.String(), { description })
const settings = (description: string) => Type.Object({}, { additionalProperties: true, description })

const owner = {
  path: Type.String({ description: 'Absolute path.' }),
  permissions: Type.Union([Type.Integer(), Type.String()], {
    description: 'Mode, octal.',
    examples: [0o644],
  }),
  owner: Type.Union([Type.Integer(), Type.String()]),
  group: Type.Union([Type.Integer(), Type.String()]),
}

const File = Type.Partial(
  Type.Object({
    ...owner,
    content: Type.String({ description: 'Content of the file.' }),
    encoding: Type.String({ description: 'Encoding of `content`.', examples: ['base64'] }),
    ownerstring: Type.String(),
    owner_string: Type.String(),
  }),
)

const Download = Type.Partial(
  Type.Object({
    ...owner,
    url: Type.String(),
    timeout: Type.Integer(),
    ownerstring: Type.String(),
    owner_string: Type.String(),
  }),
)

const Entity = Type.Partial(Type.Object({ path: Type.String(), entity: Type.String() }))

/** A user of a step, by name. */
export const StepUser = Type.Partial(
  Type.Object({
    name: Type.String(),
    passwd: Type.String({ description: 'Password, better as a crypt hash.', writeOnly: true }),
    lock_passwd: Type.Boolean(),
    ssh_authorized_keys: texts('Public SSH keys.'),
    groups: Type.Union([Type.Array(Type.String()), Type.String()], { description: 'Groups of the user.' }),
    gecos: Type.String(),
    homedir: Type.String(),
    no_create_home: Type.Boolean(),
    primary_group: Type.String(),
    no_user_group: Type.Boolean(),
    system: Type.Boolean(),
    no_log_init: Type.Boolean(),
    shell: Type.String(),
    uid: Type.Union([Type.String(), Type.Integer()]),
    sudo: Type.Unknown(),
  }),
)

const Step = Type.Partial(
  Type.Object({
    name: Type.String({ description: 'What the step is called in the log.' }),
    if: Type.String({
      description: 'Bash condition: the step runs when it holds.',
      examples: ['[ -f /etc/foo ]'],
    }),
    commands: texts('Commands to run, each by a shell.'),
    files: Type.Array(File, { description: 'Files to write.' }),
    downloads: Type.Array(Download, { description: 'Files to download.' }),
    directories: Type.Array(Type.Partial(Type.Object(owner)), { description: 'Directories to create.' }),
    users: Type.Object(
      {},
      { additionalProperties: StepUser, description: 'Users to create or change, by name.' },
    ),
    authorized_keys: Type.Object(
      {},
      { additionalProperties: Type.Array(Type.String()), description: 'Public SSH keys by user.' },
    ),
    ensure_entities: Type.Array(Entity),
    delete_entities: Type.Array(Entity),
    dns: Type.Partial(
      Type.Object({
        nameservers: texts('Name servers.'),
        search: texts('Search domains.'),
        options: texts('Options.'),
        path: Type.String(),
      }),
    ),
    hostname: Type.String(),
    sysctl: settings('Kernel settings.'),
    modules: texts('Kernel modules to load.'),
    systemctl: Type.Partial(
      Type.Object({
        enable: texts('Units to enable.'),
        disable: texts('Units to disable.'),
        start: texts('Units to start.'),
        mask: texts('Units to mask.'),
        overrides: Type.Array(settings('A drop-in.')),
      }),
    ),
    environment: settings('Environment variables to write.'),
    environment_file: Type.String(),
    node: Type.String({ description: 'Host name, or a regular expression of one, the step is for.' }),
    packages: Type.Partial(
      Type.Object({ install: texts('To install.'), remove: texts('To remove.'), refresh: Type.Boolean() }),
    ),
    unpack_images: Type.Array(settings('An image.')),
    after: Type.Array(Type.Unknown(), { description: 'Steps that must have run before.' }),
    datasource: Type.Partial(Type.Object({ providers: texts('Cloud providers.'), path: Type.String() })),
    layout: settings('Partitions to add or to grow.'),
    systemd_firstboot: settings('Settings of systemd-firstboot.'),
    timesyncd: settings('Settings of systemd-timesyncd.'),
    git: settings('A repository to clone.'),
    only_os: Type.String(),
    only_os_version: Type.String(),
    only_arch: Type.String(),
    only_service_manager: Type.String(),
  }),
  { description: 'One step of a stage (Kairos, yip).' },
)

const Steps = (description: string) => Type.Array(Step, { ...lenient, description })

/** `stages`: steps by stage, and before and after each. */
export const Stages = Type.Object(
  Object.fromEntries(
    Object.entries(stageNames).flatMap(([name, when]) => [
      [name, Type.Optional(Steps(`Steps that run ${when}.`))],
      [`${name}.before`, Type.Optional(Steps(`Steps that run just before the stage ${name}.`))],
      [`${name}.after`, Type.Optional(Steps(`Steps that run just after the stage ${name}.`))],
    ]),
  ),
  {
    additionalProperties: Steps('Steps of a stage.'),
    description: 'Steps to run in the stages of the host.',
  },
)
