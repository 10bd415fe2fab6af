import { Type } from 'typebox'
import { lenient } from './annotations.ts'
import { Bundles, GrubOptions } from './install.ts'
import { StepUser } from './stages.ts'

const texts = (description: string) => Type.Array(Type.String(), { ...lenient, description })
const settings = (description: string) =>
  Type.Object({}, { additionalProperties: true, ...lenient, description })
const text = (description: string) => Type.String({ ...lenient, description })
const truth = (description: string) => Type.Boolean({ ...lenient, description })

const Service = (name: string) =>
  Type.Partial(
    Type.Object({
      enabled: Type.Boolean(),
      args: Type.Array(Type.String(), { description: 'Arguments of the service.' }),
      env: Type.Object({}, { additionalProperties: true, description: 'Environment of the service.' }),
      replace_args: Type.Boolean(),
      replace_env: Type.Boolean(),
      embedded_registry: Type.Boolean(),
    }),
    { ...lenient, description: `Settings of ${name}.` },
  )

/** The keys of Kairos beside `install` and `stages`. They are passed through; only their shape is checked. */
export const kairosKeys = {
  users: Type.Array(Type.Union([StepUser, Type.String()], lenient), {
    description: 'Users to create.',
  }),
  bundles: Bundles,
  k3s: Service('the k3s server'),
  'k3s-agent': Service('the k3s agent'),
  k0s: Service('the k0s controller'),
  'k0s-worker': Service('the k0s worker'),
  p2p: settings('Peer-to-peer mesh.'),
  kubevip: settings('kube-vip of Kairos.'),
  reset: settings('What a reset does.'),
  upgrade: settings('What an upgrade does.'),
  logs: settings('Logs to collect.'),
  kcrypt: settings('Disk encryption.'),
  provider: settings('Settings of the provider.'),
  cluster: settings('Settings of the cluster.'),
  grub_options: GrubOptions,
  options: Type.Unknown({ description: 'Options of the agent.' }),
  debug: truth('Whether Kairos writes debug output.'),
  strict: truth('Whether faults of stages stop Kairos.'),
  fail_on_bundles_errors: truth('Whether faults of bundles stop Kairos.'),
  'eject-cd': truth('Whether the medium is ejected.'),
  cosign: truth('Whether images are verified with cosign.'),
  verify: truth('Whether images are verified.'),
  'cosign-key': text('Key of cosign.'),
  arch: text('Architecture.'),
  platform: Type.Unknown({ description: 'Platform.' }),
  'squash-compression': texts('Options of the squashfs compression.'),
  'squash-no-compression': truth('Whether squashfs images are not compressed.'),
  'uki-max-entries': Type.Integer({ ...lenient, description: 'Boot entries kept with Trusted Boot.' }),
  'cloud-init-paths': texts('Further directories to read configuration from.'),
  config_url: text('URL of further configuration.'),
  env: texts('Environment, `NAME=value`.'),
  name: text('Name of the configuration.'),
  // The part of cloud-init that Kairos knows.
  hostname: text('Host name.'),
  growpart: settings('Partitions to grow.'),
  runcmd: Type.Array(Type.Unknown(), { ...lenient, description: 'Commands to run while booting.' }),
  ssh_authorized_keys: texts('Public SSH keys of the default user.'),
  write_files: Type.Array(Type.Object({}, { additionalProperties: true }), {
    ...lenient,
    description: 'Files to write while booting.',
  }),
}
