import { cloudConfig, local, type Case } from './case.ts'

/** Faults of YAML itself, and values that depend on its version. */
export const yamlCases: readonly Case[] = [
  cloudConfig('an open quote', 'install:\n  device: "/dev/sda\n', [['error', 'syntax', 4]]),
  cloudConfig('an open bracket', 'install:\n  bind_mounts: [/a, /b\n', [['error', 'syntax', 4]]),
  cloudConfig('a wrong indentation', 'install:\n    poweroff: true\n  reboot: false\n', [
    ['error', 'syntax', 4],
  ]),
  cloudConfig('a colon within a plain value', 'install:\n  device: a: b\n', [['error', 'syntax', 3]]),
  cloudConfig('a key without a colon', 'install:\n  poweroff\n  reboot: true\n', [['error', 'syntax', 3]]),
  cloudConfig('a value that begins with a percent sign', 'install:\n  device: %disk\n', [
    ['error', 'syntax', 3],
  ]),
  cloudConfig('a value that begins with an at sign', 'install:\n  device: @disk\n', [['error', 'syntax', 3]]),
  cloudConfig('a tab as indentation', 'install:\n\tpoweroff: true\n', [['error', 'tab', 3]]),
  cloudConfig('a tab within a block', 'install:\n  bind_mounts:\n\t- /a\n', [
    ['error', 'syntax', 3],
    ['error', 'tab', 4],
  ]),
  local('a tab within a value', '  site:\n    name: "edge-1"\t# one\n'),
  cloudConfig('two faults of syntax', 'install:\n\tpoweroff: true\nstages: @x\n', [
    ['error', 'tab', 3],
    ['error', 'syntax', 4],
  ]),
  cloudConfig(
    'the example of a step whose commands stand beside it',
    'stages:\n  network.before:\n    - name: "Connect"\n       commands:\n       - true\n',
    [['error', 'syntax', 5]],
  ),
  cloudConfig(
    'a key written twice',
    'install:\n  poweroff: true\n  poweroff: false\nstylus: { managementMode: local }\n',
    [['error', 'duplicate-key', 4, '/install/poweroff']],
  ),
  cloudConfig(
    'a block written twice',
    'stylus: { managementMode: local }\nstylus: { managementMode: local }\n',
    [['error', 'duplicate-key', 3, '/stylus']],
  ),
  local('the same key in other quotes', '  site: { name: a, "name": b }\n', [
    ['error', 'duplicate-key', 4, '/stylus/site/name'],
  ]),
  local('a mapping as key', '  site:\n    tags:\n      ? { a: b }\n      : c\n', [
    ['error', 'key-not-text', 6, '/stylus/site/tags'],
  ]),
  local('an empty key', '  site:\n    tags:\n      : c\n', [
    ['error', 'key-not-text', 6, '/stylus/site/tags'],
  ]),
  local('a numeric key', '  site:\n    tags:\n      42: answer\n'),
  cloudConfig('a document start', '---\nstylus:\n  managementMode: local\n'),
  cloudConfig('a document end', 'stylus:\n  managementMode: local\n...\n'),
  cloudConfig('two documents', 'stylus:\n  managementMode: local\n---\ninstall:\n  poweroff: true\n', [
    ['error', 'multiple-documents', 4],
  ]),
  cloudConfig('three documents', 'stylus: { managementMode: local }\n---\na: 1\n---\nb: 2\n', [
    ['error', 'multiple-documents', 3],
    ['error', 'multiple-documents', 5],
  ]),
  local('an anchor and its alias', '  site:\n    tags: { a: &city chicago, b: *city }\n'),
  local('an alias of a mapping', '  vip: &off\n    skip: true\n  site:\n    tags: { a: *off }\n'),
  local('a fault behind an alias', '  vip: &ports\n    skip: 1\n  imageRedirectWebhook: *ports\n', [
    ['error', 'type', 5, '/stylus/vip/skip'],
    ['warning', 'unknown-field', 6, '/stylus/imageRedirectWebhook/skip'],
  ]),
  local('an alias without an anchor', '  site:\n    tags: { a: *city }\n', [
    ['error', 'unknown-alias', 5, '/stylus/site/tags/a'],
  ]),
  local(
    'a masked password without quotes',
    '  registryCredentials:\n    domain: a.example\n    password: *****\n',
    [['error', 'unknown-alias', 6, '/stylus/registryCredentials/password']],
  ),
  local('an alias within its own anchor', '  site:\n    tags: &all { a: *all }\n', [
    ['error', 'unknown-alias', 5, '/stylus/site/tags/a'],
  ]),
  local(
    'a merge key',
    '  site:\n    network:\n      interfaces:\n        eth0: &dhcp { type: dhcp }\n        eth1: { <<: *dhcp, nameserver: 1.1.1.1 }\n',
    [['warning', 'yaml-version', 8, '/stylus/site/network/interfaces/eth1']],
  ),
  local(
    'a fault in a merged mapping',
    '  site:\n    network:\n      interfaces:\n        eth0: &wrong { type: dchp }\n        eth1:\n          <<: [*wrong]\n',
    [
      ['error', 'value', 7, '/stylus/site/network/interfaces/eth0/type'],
      ['error', 'value', 7, '/stylus/site/network/interfaces/eth1/type'],
      ['warning', 'yaml-version', 9, '/stylus/site/network/interfaces/eth1'],
    ],
  ),
  local('a merge key of text', '  site:\n    tags: { <<: all }\n', [
    ['warning', 'yaml-version', 5, '/stylus/site/tags'],
    ['error', 'merge-key', 5, '/stylus/site/tags'],
  ]),
  local('yes as a boolean', '  debug: yes\n', [['warning', 'yaml-version', 4, '/stylus/debug']]),
  local('off as a boolean', '  trace: Off\n', [['warning', 'yaml-version', 4, '/stylus/trace']]),
  local('on as text', '  site:\n    tags: { light: on }\n', [
    ['warning', 'yaml-version', 5, '/stylus/site/tags/light'],
  ]),
  local('a quoted word', '  site:\n    tags: { light: "on", dark: \'no\' }\n'),
  local('a word as key', '  site:\n    tags:\n      no: Norway\n', [
    ['warning', 'yaml-version', 6, '/stylus/site/tags'],
  ]),
  local('an octal number', '  site:\n    tags: { zip: 01234 }\n', [
    ['warning', 'yaml-version', 5, '/stylus/site/tags/zip'],
  ]),
  local('a modern octal number', '  site:\n    tags: { mode: 0o17 }\n', [
    ['warning', 'yaml-version', 5, '/stylus/site/tags/mode'],
  ]),
  local('a binary number', '  site:\n    tags: { bits: 0b11 }\n', [
    ['warning', 'yaml-version', 5, '/stylus/site/tags/bits'],
  ]),
  local('a number with separators', '  site:\n    tags: { size: 1_000 }\n', [
    ['warning', 'yaml-version', 5, '/stylus/site/tags/size'],
  ]),
  local('a number to the base of 60', '  site:\n    tags: { at: 12:30:45 }\n', [
    ['warning', 'yaml-version', 5, '/stylus/site/tags/at'],
  ]),
  local('a hardware address', '  site:\n    tags: { mac: 10:50:56:12:34:56 }\n', [
    ['warning', 'yaml-version', 5, '/stylus/site/tags/mac'],
  ]),
  local('a date that is not quoted', '  site:\n    tags: { since: 2026-01-31 }\n', [
    ['warning', 'yaml-version', 5, '/stylus/site/tags/since'],
  ]),
  local('an exponent', '  site:\n    tags: { serial: 12e5 }\n', [
    ['warning', 'yaml-version', 5, '/stylus/site/tags/serial'],
  ]),
  cloudConfig(
    'file modes, which every reader takes as octal',
    'stylus: { managementMode: local }\nstages:\n  initramfs:\n    - files:\n        - { path: /etc/a, permissions: 0644, content: "" }\n',
  ),
  local('a tag of Python', '  site:\n    tags: { a: !!python/name:os.system "" }\n', [
    ['warning', 'unknown-tag', 5],
  ]),
  cloudConfig('a list at the top', '- stylus\n', [['error', 'type', 2, '']]),
  cloudConfig('text at the top', 'stylus\n', [['error', 'type', 2, '']]),
  local('a key of JavaScript', '  site:\n    tags: { __proto__: a, constructor: b }\n'),
  local('an unknown field of JavaScript', '  __proto__: { debug: 1 }\n  toString: a\n', [
    ['warning', 'unknown-field', 4, '/stylus/__proto__'],
    ['warning', 'unknown-field', 5, '/stylus/toString'],
  ]),
]
