import { Type } from 'typebox'

const credentials = {
  domain: Type.String({
    description: 'Host of the registry, with port and path where it has them, without a scheme.',
    examples: ['registry.example.com/palette-images'],
  }),
  username: Type.String({ description: 'User to authenticate with.' }),
  password: Type.String({ description: 'Password to authenticate with.', writeOnly: true }),
  encodedPassword: Type.Boolean({ default: false, description: '`true` when `password` is base64-encoded.' }),
  insecure: Type.Boolean({
    default: false,
    description: 'Whether connections without verified TLS are allowed.',
  }),
}

/** `stylus.registryCredentials`: a single external registry. */
export const RegistryCredentials = Type.Partial(Type.Object(credentials), {
  description: 'A single external registry that all images come from; for several use `externalRegistries`.',
})

/** `stylus.externalRegistries.registries[*]`. */
const ExternalRegistry = Type.Partial(
  Type.Object({
    ...credentials,
    repositoryName: Type.String({ description: 'Name of the repository within the registry.' }),
    certificates: Type.Array(Type.String(), {
      description: 'Certificates of the registry, PEM.',
    }),
  }),
)

/** `stylus.externalRegistries`: several registries, with rules that map image domains to them. */
export const ExternalRegistries = Type.Partial(
  Type.Object({
    registries: Type.Array(ExternalRegistry, { description: 'The external registries.' }),
    registryMappingRules: Type.Object(
      {},
      {
        additionalProperties: Type.String(),
        description:
          'Which registry to use in place of which: domain of the image to domain of the registry.',
        examples: [{ 'us-docker.pkg.dev/palette-images': 'registry.example.com/palette-images' }],
      },
    ),
  }),
  { description: 'External registries and mapping rules.' },
)

/** `stylus.imageRedirectWebhook`: redirection of image pulls. */
export const ImageRedirectWebhook = Type.Partial(
  Type.Object({
    enable: Type.Boolean({ default: true, description: 'Whether image pulls are redirected.' }),
    port: Type.Integer({
      minimum: 0,
      maximum: 65535,
      default: 0,
      description: 'Port the webhook listens on.',
    }),
  }),
  { description: 'The webhook that redirects image pulls to external and primary registries.' },
)
