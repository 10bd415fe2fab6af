import { Type } from 'typebox'
import { deprecated } from './annotations.ts'
import { ExternalRegistries, ImageRedirectWebhook, RegistryCredentials } from './registries.ts'
import { Site } from './site.ts'

const Login = Type.Partial(
  Type.Object({
    attemptsBeforeExponentialDelayStarts: Type.Integer({
      minimum: 0,
      default: 3,
      description: 'Failed logins in a row before each further one has to wait twice as long.',
    }),
    disableRateLimiting: Type.Boolean({
      default: false,
      description: 'Whether failed logins are not slowed.',
    }),
    lockoutDurationInMinutes: Type.Integer({
      minimum: 0,
      default: 15,
      description: 'How long a user stays locked out, in minutes.',
    }),
    maxFailedAttemptsBeforeLockout: Type.Integer({
      minimum: 0,
      default: 5,
      description: 'Failed logins in a row before a user is locked out.',
    }),
  }),
  { description: 'Limits of Local UI logins (Palette agent 4.7.16 or later).' },
)

const LocalUi = Type.Partial(
  Type.Object({
    login: Login,
    port: Type.Integer({ minimum: 1, maximum: 65535, default: 5080, description: 'Port of Local UI.' }),
  }),
  { description: 'Local UI, the management console of the host.' },
)

/** `stylus`: the settings of the Palette agent (installer reference, "Palette Agent Parameters"). */
export const Stylus = Type.Partial(
  Type.Object({
    debug: Type.Boolean({ default: false, description: 'Whether the agent writes debug output.' }),
    disablePasswordUpdate: Type.Boolean({
      default: false,
      description: 'Whether passwords of OS users cannot be changed in Local UI.',
    }),
    disableTui: Type.Boolean({
      default: false,
      description: 'Whether the terminal user interface only shows, and changes nothing.',
    }),
    enableMultiNode: Type.Boolean({
      default: false,
      description: 'Whether a locally managed host can be linked with others.',
    }),
    externalRegistries: ExternalRegistries,
    featureGate: Type.String({
      default: '',
      description: 'Features to enable, separated by commas.',
      examples: ['UserDataForm,DisableWorkerNodeCapReconcile'],
    }),
    imageRedirectWebhook: ImageRedirectWebhook,
    localUI: LocalUi,
    managementMode: Type.Enum(['central', 'local'], {
      default: 'central',
      description: '`central`: the host is managed by Palette; `local`: it has no connection to Palette.',
    }),
    path: Type.String({
      default: '/',
      description: 'Directory below which the agent is installed, as `opt/spectrocloud`.',
    }),
    registryCredentials: RegistryCredentials,
    site: Site,
    trace: Type.Boolean({ default: false, description: 'Whether the agent writes trace output.' }),
    vip: Type.Partial(
      Type.Object({
        skip: Type.Boolean({
          default: false,
          description: 'Whether kube-vip is left out because there is an external load balancer.',
        }),
      }),
      { description: 'The virtual IP address of the cluster.' },
    ),
    emcServer: Type.Partial(Type.Object({ port: Type.Integer({ minimum: 1, maximum: 65535 }) }), {
      description: 'Former name of `localUI`.',
      ...deprecated('It is the former name of localUI.', 'stylus.localUI'),
    }),
    imageOverride: Type.String({
      description: 'Former choice of another installer image.',
      ...deprecated('The installer reference no longer knows it.'),
    }),
    includeTui: Type.Boolean({
      description: 'Former switch of the terminal user interface, which is always on now.',
      ...deprecated('The terminal user interface is always on.'),
    }),
    installationMode: Type.Enum(['connected', 'airgap'], {
      description: 'Former name of `managementMode`: `connected` is `central`, `airgap` is `local`.',
      ...deprecated('connected is now central, and airgap is local.', 'stylus.managementMode'),
    }),
  }),
  { description: 'Settings of the Palette agent.' },
)
