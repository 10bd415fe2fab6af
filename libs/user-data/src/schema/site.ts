import { Type } from 'typebox'
import { Network } from './network.ts'

const SiteUser = Type.Partial(
  Type.Object({
    groups: Type.Array(Type.String(), { description: 'Groups the user belongs to.' }),
    passwd: Type.String({ description: 'Password of the user, better as a crypt hash.', writeOnly: true }),
    passwordExpiry: Type.String({
      description: 'Date the password expires, YYYY-MM-DD.',
      pattern: '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$',
      examples: ['2030-12-31'],
    }),
    lock_passwd: Type.Boolean({ default: false, description: 'Whether the password cannot be used.' }),
    ssh_authorized_keys: Type.Array(Type.String(), { description: 'Public SSH keys of the user.' }),
  }),
)

const TagsFromFile = Type.Partial(
  Type.Object({
    fileName: Type.String({
      description: 'Path of the file on the host.',
      examples: ['/etc/palette/tags.txt'],
    }),
    delimiter: Type.String({ default: '\n', description: 'What stands between two tags.' }),
    separator: Type.String({
      default: ':',
      description: 'What stands between the name and the value of a tag.',
    }),
  }),
  { description: 'Tags read from a file on the host.' },
)

const TagsFromScript = Type.Partial(
  Type.Object({
    scriptName: Type.String({
      description: 'Path of an executable bash script on the host that prints a JSON object.',
      examples: ['/etc/palette/tags.sh'],
    }),
    timeout: Type.Integer({ minimum: 1, default: 60, description: 'Time the script may take, in seconds.' }),
  }),
  { description: 'Tags printed by a script on the host.' },
)

/** `stylus.site`: identity, registration and network of the host. */
export const Site = Type.Partial(
  Type.Object({
    caCerts: Type.Array(Type.String(), {
      description: 'Certificates of certification authorities the host trusts, PEM.',
    }),
    autoRegister: Type.Boolean({ description: 'Whether the host registers itself (CanvOS `README.md`).' }),
    clusterId: Type.String({ description: 'Identifier of the cluster the host belongs to.' }),
    clusterName: Type.String({ description: 'Name of the cluster the host belongs to.' }),
    deviceUIDPaths: Type.Array(
      Type.Partial(
        Type.Object({
          name: Type.String({ description: 'Path of a file that holds the identifier.' }),
          regex: Type.String({
            description: 'Regular expression (RE2) that finds the identifier in the file.',
          }),
        }),
      ),
      {
        description: 'Files to read the identifier of the host from, when it has no `name`.',
        examples: [[{ name: '/sys/class/dmi/id/board_serial' }]],
      },
    ),
    disableAutoRegister: Type.Boolean({
      default: false,
      description: 'Whether the host waits to be registered by hand although it has a token.',
    }),
    edgeHostToken: Type.String({
      description: 'Registration token of the tenant; the host registers itself with it.',
      writeOnly: true,
    }),
    hostName: Type.String({ description: 'Host name, and name of the node; `name` where it is left out.' }),
    insecureSkipVerify: Type.Boolean({
      default: false,
      description: "Whether the certificate of Palette's endpoint is not verified.",
    }),
    name: Type.String({
      description: 'Identifier of the host in Palette; `$random` for a random one.',
      examples: ['edge-store-0042'],
    }),
    network: Network,
    ntpServers: Type.Union([Type.String(), Type.Array(Type.String())], {
      description: 'NTP servers the clock follows.',
    }),
    paletteEndpoint: Type.String({
      description: 'Host name of the Palette API, without a scheme.',
      examples: ['api.spectrocloud.com'],
    }),
    prefix: Type.String({
      default: 'edge',
      description: 'What a generated identifier begins with: letters, digits and `-`.',
    }),
    projectName: Type.String({ description: 'Name of the project the host belongs to.' }),
    projectUid: Type.String({ description: 'Identifier of the project the host belongs to.' }),
    registrationURL: Type.String({
      description: 'URL shown as a QR code, where an operator registers the host.',
      examples: ['https://register.example.com/'],
    }),
    remoteShell: Type.Partial(
      Type.Object({
        disable: Type.Boolean({ default: false, description: 'Whether remote shell access is off.' }),
      }),
      { description: 'Remote shell access (Palette agent 4.7.16 or later).' },
    ),
    tags: Type.Object(
      {},
      { additionalProperties: true, description: 'Tags of the host.', examples: [{ city: 'chicago' }] },
    ),
    tagsFromFile: TagsFromFile,
    tagsFromScript: TagsFromScript,
    users: Type.Union(
      [
        Type.Object({}, { additionalProperties: SiteUser }),
        Type.Array(Type.Object({}, { additionalProperties: true })),
      ],
      { description: 'Users to create on the host, by name.' },
    ),
  }),
  { description: 'Identity, registration and network of the host.' },
)
