import { cloudConfig, local, type Case } from './case.ts'

const managed = 'stylus: { managementMode: local }\n'

/** Faults in the shape of the document. */
export const shapeCases: readonly Case[] = [
  local('a password without a value', '  registryCredentials:\n    domain: a.example\n    password:\n', [
    ['error', 'type', 6, '/stylus/registryCredentials/password'],
  ]),
  local(
    'a password that is a comment',
    '  registryCredentials:\n    domain: a.example\n    password: ####\n',
    [['error', 'type', 6, '/stylus/registryCredentials/password']],
  ),
  local('a number as text', '  site:\n    projectUid: 12345677788\n', [
    ['error', 'type', 5, '/stylus/site/projectUid'],
  ]),
  local('a boolean as text', '  site:\n    name: true\n', [['error', 'type', 5, '/stylus/site/name']]),
  local('text as a boolean', '  debug: "true"\n', [['error', 'type', 4, '/stylus/debug']]),
  local('a number as a boolean', '  vip: { skip: 1 }\n', [['error', 'type', 4, '/stylus/vip/skip']]),
  local('text as a number', '  localUI: { port: "5080" }\n', [['error', 'type', 4, '/stylus/localUI/port']]),
  local('a fraction as a number', '  localUI: { port: 5080.5 }\n', [
    ['error', 'type', 4, '/stylus/localUI/port'],
  ]),
  local('a whole number with a fraction of zero', '  localUI: { port: 5080.0 }\n'),
  local('text as a list', '  site:\n    caCerts: none\n', [['error', 'type', 5, '/stylus/site/caCerts']]),
  local('a mapping as a list', '  externalRegistries:\n    registries: { domain: a.example }\n', [
    ['error', 'type', 5, '/stylus/externalRegistries/registries'],
  ]),
  local('a list as a mapping', '  site:\n    - name: edge\n', [['error', 'type', 4, '/stylus/site']]),
  local(
    'text in place of several certificates',
    '  externalRegistries:\n    registries:\n      - domain: a.example\n        certificates: none\n',
    [['error', 'type', 7, '/stylus/externalRegistries/registries/0/certificates']],
  ),
  local('a list with an item of another type', '  site:\n    ntpServers: [a.example, 1]\n', [
    ['error', 'type', 5, '/stylus/site/ntpServers/1'],
  ]),
  local('a number as NTP servers', '  site:\n    ntpServers: 1\n', [
    ['error', 'type', 5, '/stylus/site/ntpServers'],
  ]),
  local('NTP servers as text', '  site:\n    ntpServers: a.example,b.example\n'),
  local('tags of any type', '  site:\n    tags: { zip: 95135, open: true, nested: { a: b } }\n'),
  cloudConfig('a null block', 'stylus:\n', [
    ['error', 'type', 2, '/stylus'],
    ['warning', 'registration', 2, '/stylus'],
  ]),
  cloudConfig('stages of text', `${managed}stages: none\n`, [['error', 'type', 3, '/stages']]),
  cloudConfig('an empty install block', `${managed}install:\n`, [['error', 'type', 3, '/install']]),
  cloudConfig(
    'a mode that does not exist',
    'stylus:\n  managementMode: airgap\n  site: { edgeHostToken: abc, paletteEndpoint: a.example, projectName: p }\n',
    [['error', 'value', 3, '/stylus/managementMode']],
  ),
  cloudConfig(
    'a former mode that does not exist',
    'stylus:\n  managementMode: local\n  installationMode: local\n',
    [
      ['warning', 'deprecated', 4, '/stylus/installationMode'],
      ['error', 'value', 4, '/stylus/installationMode'],
    ],
  ),
  local(
    'an interface type that does not exist',
    '  site:\n    network:\n      interfaces:\n        eth0: { type: auto }\n',
    [['error', 'value', 7, '/stylus/site/network/interfaces/eth0/type']],
  ),
  local('a port out of range', '  localUI: { port: 65536 }\n', [
    ['error', 'range', 4, '/stylus/localUI/port'],
  ]),
  local('a negative number', '  localUI: { login: { lockoutDurationInMinutes: -1 } }\n', [
    ['error', 'range', 4, '/stylus/localUI/login/lockoutDurationInMinutes'],
  ]),
  local('a timeout of zero', '  site:\n    tagsFromScript: { scriptName: /a, timeout: 0 }\n', [
    ['error', 'range', 5, '/stylus/site/tagsFromScript/timeout'],
  ]),
  local('the default port of the webhook', '  imageRedirectWebhook: { enable: true, port: 0 }\n'),
  local('a date in another form', '  site:\n    users:\n      ada: { passwordExpiry: 31.12.2030 }\n', [
    ['error', 'format', 6, '/stylus/site/users/ada/passwordExpiry'],
  ]),
  local('a date', '  site:\n    users:\n      ada: { passwordExpiry: 2030-12-31 }\n'),
  local('users as a list', '  site:\n    users:\n      - ada: { groups: [sudo] }\n'),
  local('a misspelled field', '  includTui: true\n', [['warning', 'unknown-field', 4, '/stylus/includTui']]),
  local('a field in the wrong case', '  localUi: { port: 5080 }\n', [
    ['warning', 'unknown-field', 4, '/stylus/localUi'],
  ]),
  local('a field in the wrong block', '  paletteEndpoint: api.example\n', [
    ['warning', 'unknown-field', 4, '/stylus/paletteEndpoint'],
  ]),
  local('debug within the site', '  site:\n    debug: true\n', [
    ['warning', 'unknown-field', 5, '/stylus/site/debug'],
  ]),
  local(
    'a misspelled field of an interface',
    '  site:\n    network:\n      interfaces:\n        eth0: { ipAdress: 10.0.0.1/8 }\n',
    [['warning', 'unknown-field', 7, '/stylus/site/network/interfaces/eth0/ipAdress']],
  ),
  cloudConfig('a misspelled block', `${managed}instal:\n  poweroff: true\n`, [
    ['warning', 'unknown-field', 3, '/instal'],
  ]),
  cloudConfig('a stage outside of stages', `${managed}boot.after:\n  - echo\n`, [
    ['warning', 'unknown-field', 3, '/boot.after'],
  ]),
  cloudConfig('a block of stylus outside of it', `${managed}externalRegistries: {}\n`, [
    ['warning', 'unknown-field', 3, '/externalRegistries'],
  ]),
  cloudConfig('a misspelled field of a step', `${managed}stages:\n  boot:\n    - command: [echo]\n`, [
    ['warning', 'unknown-field', 5, '/stages/boot/0/command'],
  ]),
  cloudConfig('a stage that is a mapping', `${managed}stages:\n  initramfs:\n    files: []\n`, [
    ['warning', 'type', 4, '/stages/initramfs'],
  ]),
  cloudConfig(
    'a condition that is a list',
    `${managed}stages:\n  boot:\n    - if: [-f "/a"]\n      commands: [echo]\n`,
    [['warning', 'type', 5, '/stages/boot/0/if']],
  ),
  cloudConfig('commands that are text', `${managed}stages:\n  boot:\n    - commands: echo\n`, [
    ['warning', 'type', 5, '/stages/boot/0/commands'],
  ]),
  cloudConfig('a step that is text', `${managed}stages:\n  boot:\n    - echo\n`, [
    ['warning', 'type', 5, '/stages/boot/0'],
  ]),
  cloudConfig(
    'Kairos keys',
    `${managed}k3s: { enabled: true, args: [--disable=traefik] }\nbundles:\n  - targets: [run://a]\nhostname: a\nname: b\nstrict: true\n`,
  ),
  cloudConfig('Kairos keys of another shape', `${managed}k3s: true\nbundles: {}\nusers: { ada: {} }\n`, [
    ['warning', 'type', 3, '/k3s'],
    ['warning', 'type', 4, '/bundles'],
    ['error', 'type', 5, '/users'],
  ]),
  cloudConfig(
    'users of Kairos',
    `${managed}users:\n  - name: ada\n    groups: admin\n    ssh_authorized_keys: [github:ada]\n  - default\n`,
  ),
  cloudConfig('the dotted form of Kairos', `${managed}install:\n  partitions.oem.size: 60\n`),
  cloudConfig('an unknown field of the installation', `${managed}install:\n  power_off: true\n`, [
    ['warning', 'unknown-field', 4, '/install/power_off'],
  ]),
  cloudConfig(
    'a size with a unit',
    `${managed}install:\n  partitions:\n    persistent: { size: 10Gi, fs: ext4 }\n`,
    [['error', 'type', 5, '/install/partitions/persistent/size']],
  ),
  local('the former terminal switch', '  includeTui: true\n', [
    ['warning', 'deprecated', 4, '/stylus/includeTui'],
  ]),
  local('the former Local UI block', '  emcServer: { port: 5080 }\n', [
    ['warning', 'deprecated', 4, '/stylus/emcServer'],
  ]),
  local('the former image override', '  imageOverride: a/b:1\n', [
    ['warning', 'deprecated', 4, '/stylus/imageOverride'],
  ]),
  cloudConfig('the former mode', 'stylus:\n  installationMode: airgap\n', [
    ['warning', 'deprecated', 3, '/stylus/installationMode'],
  ]),
]
