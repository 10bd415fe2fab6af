import { certificate, cloudConfig, local, now, type Case } from './case.ts'

const managed = 'stylus: { managementMode: local }\n'
const authorities = (block: string) =>
  `stylus:\n  managementMode: local\n  site:\n    caCerts:\n      - |\n${block}\n`
const registry = (fields: string) =>
  `  externalRegistries:\n    registries:\n      - ${fields.replaceAll('\n', '\n        ')}\n`
const at = (date: string) => ({ now: new Date(date) })

/** Certificates, registries and secrets. */
export const trustCases: readonly Case[] = [
  cloudConfig('an authority', authorities(certificate('authority', 8))),
  cloudConfig(
    'two authorities in one entry',
    authorities(`${certificate('authority', 8)}\n${certificate('authority', 8)}`),
  ),
  cloudConfig(
    'an authority in base64',
    `stylus:\n  managementMode: local\n  site:\n    caCerts:\n      - ${Buffer.from(certificate('authority', 0)).toString('base64')}\n`,
  ),
  cloudConfig(
    'a masked certificate',
    authorities('        ------BEGIN CERTIFICATE------\n        *****\n        ------END CERTIFICATE------'),
    [['error', 'certificate', 6, '/stylus/site/caCerts/0']],
  ),
  cloudConfig(
    'a certificate without its end',
    authorities(certificate('authority', 8).replace(/\n[^\n]*END[^\n]*$/, '')),
    [['error', 'certificate', 6, '/stylus/site/caCerts/0']],
  ),
  cloudConfig(
    'a certificate with a letter lost',
    authorities(certificate('authority', 8).replace('MII', 'MI')),
    [['error', 'certificate', 6, '/stylus/site/caCerts/0']],
  ),
  cloudConfig(
    'an empty certificate',
    authorities('        -----BEGIN CERTIFICATE-----\n\n        -----END CERTIFICATE-----'),
    [['error', 'certificate', 6, '/stylus/site/caCerts/0']],
  ),
  cloudConfig(
    'a private key',
    authorities('        -----BEGIN PRIVATE KEY-----\n        AAAA\n        -----END PRIVATE KEY-----'),
    [['error', 'certificate', 6, '/stylus/site/caCerts/0']],
  ),
  cloudConfig(
    'an expired authority',
    authorities(certificate('authority', 8)),
    [['error', 'certificate-expired', 6, '/stylus/site/caCerts/0']],
    at('2037-01-01'),
  ),
  cloudConfig(
    'an authority that expires soon',
    authorities(certificate('authority', 8)),
    [['warning', 'certificate-validity', 6, '/stylus/site/caCerts/0']],
    at('2036-11-01'),
  ),
  cloudConfig(
    'an authority of the future',
    authorities(certificate('authority', 8)),
    [['warning', 'certificate-validity', 6, '/stylus/site/caCerts/0']],
    at('2026-01-01'),
  ),
  cloudConfig('a certificate that is no authority', authorities(certificate('leaf', 8)), [
    ['warning', 'certificate-authority', 6, '/stylus/site/caCerts/0'],
  ]),
  local('a malformed certificate of a registry', registry('domain: a.example\ncertificates:\n  - none'), [
    ['error', 'certificate', 8, '/stylus/externalRegistries/registries/0/certificates/0'],
  ]),
  local(
    'a certificate of a registry that is no authority',
    registry(`domain: a.example\ncertificates:\n  - |\n${certificate('leaf', 4)}`),
  ),
  local(
    'a single registry',
    '  registryCredentials: { domain: "10.10.254.254:8000/images", username: u, password: p, insecure: true }\n',
    [['warning', 'clear-text-registry-password', 4, '/stylus/registryCredentials/password']],
  ),
  local(
    'both kinds of registries',
    '  registryCredentials: { domain: a.example }\n  externalRegistries: { registries: [{ domain: b.example }] }\n',
    [['error', 'registries-twice', 4, '/stylus/registryCredentials']],
  ),
  local(
    'mapping rules beside a single registry',
    '  registryCredentials: { domain: a.example }\n  externalRegistries: { registryMappingRules: { b.example: a.example } }\n',
    [['error', 'registries-twice', 4, '/stylus/registryCredentials']],
  ),
  local('mapping rules alone', '  externalRegistries: { registryMappingRules: { b.example: a.example } }\n'),
  local('a registry without a domain', '  registryCredentials: { insecure: true }\n', [
    ['error', 'registry-domain', 4, '/stylus/registryCredentials'],
  ]),
  local('a registry with a scheme', registry('domain: https://a.example'), [
    ['error', 'registry-domain', 6, '/stylus/externalRegistries/registries/0/domain'],
  ]),
  local(
    'a registry listed twice',
    '  externalRegistries: { registries: [{ domain: a.example }, { domain: a.example }] }\n',
    [['warning', 'registry-duplicate', 4, '/stylus/externalRegistries/registries/1/domain']],
  ),
  local('a user name without a password', registry('domain: a.example\nusername: u'), [
    ['warning', 'registry-credentials', 7, '/stylus/externalRegistries/registries/0/username'],
  ]),
  local('a password without a user name', registry('domain: a.example\npassword: p'), [
    ['warning', 'registry-credentials', 7, '/stylus/externalRegistries/registries/0/password'],
    ['warning', 'clear-text-registry-password', 7, '/stylus/externalRegistries/registries/0/password'],
  ]),
  local(
    'an encoded password',
    registry('domain: a.example\nusername: u\nencodedPassword: true\npassword: cGFzc3dvcmQ='),
    [['warning', 'clear-text-registry-password', 9, '/stylus/externalRegistries/registries/0/password']],
  ),
  local(
    'a password that is not encoded',
    registry('domain: a.example\nusername: u\nencodedPassword: true\npassword: pass word'),
    [
      ['error', 'registry-password-encoding', 9, '/stylus/externalRegistries/registries/0/password'],
      ['warning', 'clear-text-registry-password', 9, '/stylus/externalRegistries/registries/0/password'],
    ],
  ),
  local(
    'a rule to a registry that is not listed',
    `${registry('domain: a.example/images')}    registryMappingRules:\n      c.example: a.example/images/c\n      d.example: b.example/images\n`,
    [['warning', 'registry-mapping', 9, '/stylus/externalRegistries/registryMappingRules/d.example']],
  ),
  local(
    'a registry password that is a placeholder',
    '  registryCredentials: { domain: a.example, username: u, password: <yourPassword> }\n',
    [
      ['warning', 'placeholder', 4, '/stylus/registryCredentials/password'],
      ['warning', 'clear-text-registry-password', 4, '/stylus/registryCredentials/password'],
    ],
  ),
  cloudConfig(
    'a password of a step in clear text',
    `${managed}stages:\n  initramfs:\n    - users:\n        kairos:\n          passwd: kairos\n`,
    [['warning', 'clear-text-password', 7, '/stages/initramfs/0/users/kairos/passwd']],
  ),
  cloudConfig(
    'a hash',
    `${managed}stages:\n  initramfs:\n    - users:\n        a: { passwd: "$6$salt$hash" }\n        b: { passwd: "$y$j9T$salt$hash" }\n        c: { passwd: "!" }\n        d: { passwd: "*" }\n`,
  ),
  cloudConfig(
    'passwords of Kairos and of the site',
    'stylus:\n  managementMode: local\n  site:\n    users: { ada: { passwd: secret } }\nusers:\n  - { name: ada, passwd: secret }\n',
    [
      ['warning', 'clear-text-password', 5, '/stylus/site/users/ada/passwd'],
      ['warning', 'clear-text-password', 7, '/users/0/passwd'],
    ],
  ),
  local(
    'a proxy with a password',
    '  site:\n    network: { httpsProxy: "http://u:p@proxy.example:3128" }\n',
    [['warning', 'clear-text-proxy-password', 5, '/stylus/site/network/httpsProxy']],
  ),
  local('no verification', '  site: { insecureSkipVerify: true }\n', [
    ['warning', 'tls-verification', 4, '/stylus/site/insecureSkipVerify'],
  ]),
  local('verification', '  site: { insecureSkipVerify: false }\n'),
  cloudConfig(
    'a step that is not to be copied',
    `${managed}stages:\n  network.after:\n    - name: skip-copy-subscribe\n      commands: [echo]\n`,
    [['warning', 'skip-copy', 5, '/stages/network.after/0/name']],
  ),
].map((row: Case) => ({ ...row, context: { now, ...row.context } }))
