import { cloudConfig, local, type Case } from './case.ts'

const site = (fields: string) => `stylus:\n  site:\n${fields}`
const endpoint = '    paletteEndpoint: api.spectrocloud.com\n'

/** Registration and management mode. */
export const registrationCases: readonly Case[] = [
  cloudConfig('a token and a project', site(`${endpoint}    edgeHostToken: abc\n    projectName: stores\n`)),
  cloudConfig(
    'a token and the identifier of a project',
    site(`${endpoint}    edgeHostToken: abc\n    projectUid: "12"\n`),
  ),
  cloudConfig('a token without a project', site(`${endpoint}    edgeHostToken: abc\n`), [
    ['info', 'project', 5, '/stylus/site/edgeHostToken'],
  ]),
  cloudConfig('a QR code', site(`${endpoint}    registrationURL: https://register.example.com/\n`)),
  cloudConfig('neither token nor QR code', site(endpoint), [['warning', 'registration', 3, '/stylus/site']]),
  cloudConfig('an empty token', site(`${endpoint}    edgeHostToken: ""\n`), [
    ['warning', 'registration', 3, '/stylus/site'],
  ]),
  cloudConfig('an agent without a site', 'stylus:\n  debug: true\n', [
    ['warning', 'registration', 2, '/stylus'],
  ]),
  cloudConfig('no agent at all', 'install:\n  poweroff: true\n', [['warning', 'registration', 2, '']]),
  cloudConfig('the central mode, said', `stylus:\n  managementMode: central\n`, [
    ['warning', 'registration', 2, '/stylus'],
  ]),
  cloudConfig('the connected mode, said', `stylus:\n  installationMode: connected\n`, [
    ['warning', 'registration', 2, '/stylus'],
    ['warning', 'deprecated', 3, '/stylus/installationMode'],
  ]),
  cloudConfig(
    'a project by name and by identifier',
    site(`${endpoint}    edgeHostToken: abc\n    projectName: stores\n    projectUid: "12"\n`),
    [['warning', 'project-twice', 7, '/stylus/site/projectUid']],
  ),
  cloudConfig('no endpoint', site('    edgeHostToken: abc\n    projectName: stores\n'), [
    ['warning', 'palette-endpoint', 3, '/stylus/site'],
  ]),
  cloudConfig(
    'an endpoint with a scheme',
    site('    paletteEndpoint: https://api.example.com/\n    edgeHostToken: abc\n    projectName: p\n'),
    [['warning', 'palette-endpoint', 4, '/stylus/site/paletteEndpoint']],
  ),
  cloudConfig(
    'an endpoint with a port',
    site('    paletteEndpoint: palette.example.com:8443\n    edgeHostToken: abc\n    projectName: p\n'),
  ),
  cloudConfig(
    'a registration URL without a scheme',
    site(`${endpoint}    registrationURL: register.example.com\n`),
    [['error', 'registration-url', 5, '/stylus/site/registrationURL']],
  ),
  cloudConfig('a registration URL of a file', site(`${endpoint}    registrationURL: file:///etc/passwd\n`), [
    ['error', 'registration-url', 5, '/stylus/site/registrationURL'],
  ]),
  cloudConfig(
    'a token that is a placeholder',
    site(`${endpoint}    edgeHostToken: <yourRegistrationToken>\n    projectName: p\n`),
    [['warning', 'placeholder', 5, '/stylus/site/edgeHostToken']],
  ),
  cloudConfig(
    'a token that is a variable',
    site(`${endpoint}    edgeHostToken: $TOKEN\n    projectName: p\n`),
    [['warning', 'placeholder', 5, '/stylus/site/edgeHostToken']],
  ),
  cloudConfig(
    'an endpoint of X',
    site('    paletteEndpoint: XXXXXX\n    edgeHostToken: abc\n    projectName: p\n'),
    [['warning', 'placeholder', 4, '/stylus/site/paletteEndpoint']],
  ),
  cloudConfig(
    'a token that waits',
    site(`${endpoint}    edgeHostToken: abc\n    projectName: p\n    disableAutoRegister: true\n`),
  ),
  local('a local host', ''),
  cloudConfig('an airgapped host', 'stylus:\n  managementMode: local\n  installationMode: airgap\n', [
    ['warning', 'deprecated', 4, '/stylus/installationMode'],
  ]),
  cloudConfig(
    'modes that contradict each other',
    'stylus:\n  managementMode: local\n  installationMode: connected\n',
    [
      ['warning', 'deprecated', 4, '/stylus/installationMode'],
      ['error', 'mode-conflict', 4, '/stylus/installationMode'],
    ],
  ),
  local(
    'a local host with a token',
    '  site:\n    edgeHostToken: abc\n    registrationURL: https://a.example/\n',
    [
      ['warning', 'local-registration', 5, '/stylus/site/edgeHostToken'],
      ['warning', 'local-registration', 6, '/stylus/site/registrationURL'],
    ],
  ),
  local('linked hosts', '  enableMultiNode: true\n'),
  cloudConfig(
    'linked hosts in central mode',
    `stylus:\n  enableMultiNode: true\n  site:\n${endpoint}    edgeHostToken: abc\n    projectName: p\n`,
    [['warning', 'multi-node-mode', 3, '/stylus/enableMultiNode']],
  ),
  cloudConfig(
    'a public key in central mode',
    `stylus:\n  managementMode: central\n  site:\n${endpoint}    edgeHostToken: abc\n    projectName: p\n`,
    [['error', 'public-key-mode', 3, '/stylus/managementMode']],
    { embeddedPublicKey: true },
  ),
  cloudConfig(
    'a public key and no mode',
    `stylus:\n  site:\n${endpoint}    edgeHostToken: abc\n    projectName: p\n`,
    [['error', 'public-key-mode', 2, '/stylus']],
    { embeddedPublicKey: true },
  ),
  cloudConfig(
    'a public key and no agent',
    'install: { poweroff: true }\n',
    [
      ['warning', 'registration', 2, ''],
      ['error', 'public-key-mode', 2, ''],
    ],
    { embeddedPublicKey: true },
  ),
  cloudConfig('a public key in local mode', 'stylus:\n  managementMode: local\n', [], {
    embeddedPublicKey: true,
  }),
  cloudConfig(
    'a public key in airgap mode',
    'stylus:\n  installationMode: airgap\n',
    [['warning', 'deprecated', 3, '/stylus/installationMode']],
    { embeddedPublicKey: true },
  ),
  cloudConfig(
    'Trusted Boot in local mode',
    'stylus:\n  managementMode: local\n',
    [['error', 'trusted-boot-mode', 3, '/stylus/managementMode']],
    { trustedBoot: true },
  ),
  cloudConfig(
    'Trusted Boot in central mode',
    site(`${endpoint}    edgeHostToken: abc\n    projectName: p\n`),
    [],
    { trustedBoot: true },
  ),
  cloudConfig(
    'two nodes in local mode',
    'stylus:\n  managementMode: local\n',
    [['error', 'two-node-mode', 3, '/stylus/managementMode']],
    { twoNode: true },
  ),
]
