import { Type } from 'typebox'

/** `stylus.site.network.interfaces.<name>`. */
export const NetworkInterface = Type.Partial(
  Type.Object({
    type: Type.Enum(['dhcp', 'static'], {
      default: 'dhcp',
      description: 'How the interface gets its address.',
    }),
    ipAddress: Type.String({
      description: 'Address of a static interface, with its prefix length, or with `mask` beside it.',
      examples: ['10.0.10.25/24'],
    }),
    mask: Type.String({ description: 'Network mask of `ipAddress`.', examples: ['255.255.255.0'] }),
    gateway: Type.String({
      description: 'Address of the gateway, within the subnet of `ipAddress`.',
      examples: ['10.0.10.1'],
    }),
    nameserver: Type.String({
      description: 'Address of the name server of this interface.',
      examples: ['10.10.128.8'],
    }),
  }),
  { description: 'Settings of one network interface.' },
)

/** `stylus.site.network`: how the host reaches Palette. */
export const Network = Type.Partial(
  Type.Object({
    httpProxy: Type.String({
      description: 'URL of the proxy for HTTP.',
      examples: ['http://proxy.example.com:3128'],
    }),
    httpsProxy: Type.String({
      description: 'URL of the proxy for HTTPS.',
      examples: ['http://proxy.example.com:3128'],
    }),
    noProxy: Type.String({
      description: 'Addresses, networks and domains reached without the proxy, separated by commas.',
      examples: ['10.10.128.10,10.0.0.0/8'],
    }),
    nameserver: Type.String({
      description: 'Address of the name server of the host.',
      examples: ['1.1.1.1'],
    }),
    interfaces: Type.Object(
      {},
      {
        additionalProperties: NetworkInterface,
        description: 'Settings by interface name. Interfaces that are not named use DHCP.',
      },
    ),
  }),
  { description: 'Network settings of the host.' },
)
