import { cloudConfig, local, type Case } from './case.ts'

const interfaces = (fields: string) => `  site:\n    network:\n      interfaces:\n${fields}`
const eth0 = (fields: string) => interfaces(`        eth0: { ${fields} }\n`)
const pointer = '/stylus/site/network/interfaces/eth0'

/** Names, paths, interfaces and proxies. */
export const siteCases: readonly Case[] = [
  local('a host name of labels', '  site: { name: edge-1.store.example, hostName: edge-1 }\n'),
  local('a random name', '  site: { name: $random }\n'),
  local('a name with an underscore', '  site: { name: edge_1 }\n', [
    ['error', 'host-name', 4, '/stylus/site/name'],
  ]),
  local('a name with a slash', '  site: { name: edge/1 }\n', [
    ['error', 'host-name', 4, '/stylus/site/name'],
  ]),
  local('a name that begins with a hyphen', '  site: { name: -edge }\n', [
    ['error', 'host-name', 4, '/stylus/site/name'],
  ]),
  local('a name that ends with a dot', '  site: { hostName: edge. }\n', [
    ['error', 'host-name', 4, '/stylus/site/hostName'],
  ]),
  local('a label of 64 characters', `  site: { name: ${'a'.repeat(64)} }\n`, [
    ['error', 'host-name', 4, '/stylus/site/name'],
  ]),
  local('a label of 63 characters', `  site: { name: ${'a'.repeat(63)} }\n`),
  local('a name of 254 characters', `  site: { hostName: ${'a.'.repeat(127)}aa }\n`.replace('aa }', ' }'), [
    ['error', 'host-name', 4, '/stylus/site/hostName'],
  ]),
  local('a host name that is random', '  site: { hostName: $random }\n', [
    ['error', 'host-name', 4, '/stylus/site/hostName'],
  ]),
  local('a name in upper case', '  site: { name: Edge-1 }\n', [
    ['warning', 'host-name-case', 4, '/stylus/site/name'],
  ]),
  local('a name in another script', '  site: { name: еdge }\n', [
    ['error', 'host-name', 4, '/stylus/site/name'],
  ]),
  local('a prefix', '  site: { prefix: Store-42 }\n'),
  local('a prefix with an underscore', '  site: { prefix: store_ }\n', [
    ['error', 'prefix', 4, '/stylus/site/prefix'],
  ]),
  local('a prefix without room', `  site: { prefix: ${'a'.repeat(91)} }\n`, [
    ['error', 'prefix', 4, '/stylus/site/prefix'],
  ]),
  local(
    'relative paths',
    '  path: data\n  site:\n    tagsFromFile: { fileName: tags.txt }\n    deviceUIDPaths:\n      - name: sys/id\n',
    [
      ['error', 'absolute-path', 4, '/stylus/path'],
      ['error', 'absolute-path', 6, '/stylus/site/tagsFromFile/fileName'],
      ['error', 'absolute-path', 8, '/stylus/site/deviceUIDPaths/0/name'],
    ],
  ),
  cloudConfig(
    'a relative mount',
    'stylus: { managementMode: local }\ninstall:\n  bind_mounts:\n    - /var/cores\n    - var/lib/osd\n',
    [['error', 'absolute-path', 6, '/install/bind_mounts/1']],
  ),
  local(
    'an expression with look-ahead',
    '  site:\n    deviceUIDPaths:\n      - { name: /a, regex: "edge(?=x)" }\n',
    [['error', 'expression', 6, '/stylus/site/deviceUIDPaths/0/regex']],
  ),
  local('an expression of RE2', '  site:\n    deviceUIDPaths:\n      - { name: /a, regex: "(?i)edge.*" }\n'),
  local('tags from a file that is not named', '  site:\n    tagsFromFile: { delimiter: ";" }\n', [
    ['warning', 'tag-source', 5, '/stylus/site/tagsFromFile'],
  ]),
  local(
    'a static interface',
    eth0('type: static, ipAddress: 10.0.10.25/24, gateway: 10.0.10.1, nameserver: 10.0.10.2'),
  ),
  local(
    'a static interface with a mask',
    eth0('type: static, ipAddress: 10.0.10.25, mask: 255.255.255.0, gateway: 10.0.10.1'),
  ),
  local(
    'a static interface of IPv6',
    eth0('type: static, ipAddress: "2001:db8::25/64", gateway: "2001:db8::1"'),
  ),
  local('a static interface without an address', eth0('type: static, gateway: 10.0.10.1'), [
    ['error', 'static-address', 7, pointer],
  ]),
  local('a static interface without a prefix length', eth0('type: static, ipAddress: 10.0.10.25'), [
    ['error', 'static-address', 7, `${pointer}/ipAddress`],
  ]),
  local(
    'a gateway outside of the subnet',
    eth0('type: static, ipAddress: 10.0.10.25/24, gateway: 10.0.11.1'),
    [['error', 'gateway-subnet', 7, `${pointer}/gateway`]],
  ),
  local(
    'a gateway outside of a masked subnet',
    eth0('type: static, ipAddress: 10.0.10.25, mask: 255.255.255.128, gateway: 10.0.10.129'),
    [['error', 'gateway-subnet', 7, `${pointer}/gateway`]],
  ),
  local(
    'a gateway outside of a subnet of IPv6',
    eth0('type: static, ipAddress: "2001:db8::25/64", gateway: "2001:db8:1::1"'),
    [['error', 'gateway-subnet', 7, `${pointer}/gateway`]],
  ),
  local(
    'a gateway of the other version',
    eth0('type: static, ipAddress: 10.0.10.25/24, gateway: "2001:db8::1"'),
    [['error', 'gateway-subnet', 7, `${pointer}/gateway`]],
  ),
  local('a gateway that is the host', eth0('type: static, ipAddress: 10.0.10.25/24, gateway: 10.0.10.25'), [
    ['error', 'gateway-subnet', 7, `${pointer}/gateway`],
  ]),
  local(
    'addresses that are none',
    eth0(
      'type: static, ipAddress: 10.0.10.256/24, mask: 255.0.255.0, gateway: router, nameserver: dns.example',
    ),
    [
      ['error', 'address', 7, `${pointer}/ipAddress`],
      ['error', 'address', 7, `${pointer}/mask`],
      ['error', 'address', 7, `${pointer}/gateway`],
      ['error', 'address', 7, `${pointer}/nameserver`],
    ],
  ),
  local('a prefix length that is too long', eth0('type: static, ipAddress: 10.0.10.25/33'), [
    ['error', 'address', 7, `${pointer}/ipAddress`],
  ]),
  local('several name servers', '  site:\n    network: { nameserver: "1.1.1.1, 8.8.8.8" }\n'),
  local('a name server by name', '  site:\n    network: { nameserver: dns.example }\n', [
    ['error', 'address', 5, '/stylus/site/network/nameserver'],
  ]),
  local(
    'a mask that contradicts the prefix length',
    eth0('type: static, ipAddress: 10.0.10.25/24, mask: 255.255.0.0'),
    [['error', 'mask-conflict', 7, `${pointer}/mask`]],
  ),
  local('the address of a network', eth0('type: static, ipAddress: 10.0.10.0/24'), [
    ['warning', 'subnet-address', 7, `${pointer}/ipAddress`],
  ]),
  local('a broadcast address', eth0('type: static, ipAddress: 10.0.10.255/24'), [
    ['warning', 'subnet-address', 7, `${pointer}/ipAddress`],
  ]),
  local(
    'an address given twice',
    interfaces(
      '        eth0: { type: static, ipAddress: 10.0.10.25/24 }\n        eth1: { type: static, ipAddress: 10.0.10.25/16 }\n',
    ),
    [['error', 'duplicate-address', 8, '/stylus/site/network/interfaces/eth1/ipAddress']],
  ),
  local('DHCP with an address', eth0('type: dhcp, ipAddress: 10.0.10.25/24, gateway: 10.0.10.1'), [
    ['warning', 'unused-address', 7, `${pointer}/ipAddress`],
    ['warning', 'unused-address', 7, `${pointer}/gateway`],
  ]),
  local('DHCP with a name server', eth0('type: dhcp, nameserver: 1.1.1.1')),
  local(
    'interface names that cannot be',
    interfaces(
      '        "eth 0": { type: dhcp }\n        a/b: { type: dhcp }\n        abcdefghijklmnop: { type: dhcp }\n',
    ),
    [
      ['error', 'interface-name', 7, '/stylus/site/network/interfaces/eth 0'],
      ['error', 'interface-name', 8, '/stylus/site/network/interfaces/a~1b'],
      ['error', 'interface-name', 9, '/stylus/site/network/interfaces/abcdefghijklmnop'],
    ],
  ),
  local(
    'proxies',
    '  site:\n    network:\n      httpProxy: http://proxy.example.com:3128\n      httpsProxy: https://proxy.example.com\n      noProxy: 10.10.128.10,10.0.0.0/8,.example.com,localhost,*.svc\n',
  ),
  local('a proxy without a scheme', '  site:\n    network: { httpProxy: "10.0.0.1:3128" }\n', [
    ['error', 'proxy-url', 5, '/stylus/site/network/httpProxy'],
  ]),
  local('a proxy of another scheme', '  site:\n    network: { httpsProxy: "socks5://10.0.0.1" }\n', [
    ['error', 'proxy-url', 5, '/stylus/site/network/httpsProxy'],
  ]),
  local(
    'exceptions that are none',
    '  site:\n    network: { noProxy: "10.0.0.0/40,,https://a.example/" }\n',
    [
      ['warning', 'no-proxy', 5, '/stylus/site/network/noProxy'],
      ['warning', 'no-proxy', 5, '/stylus/site/network/noProxy'],
      ['warning', 'no-proxy', 5, '/stylus/site/network/noProxy'],
    ],
  ),
]
