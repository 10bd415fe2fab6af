import { stageNames } from '@edgesmith/user-data/schema/stages'
import { cloudConfig, local, type Case } from './case.ts'

const managed = 'stylus: { managementMode: local }\n'
const steps = '\n    - commands: [echo]\n'
const offload = (name: string) => `      - commands:\n          - ethtool --offload ens192 ${name} off\n`
const ens192 =
  'stylus:\n  managementMode: local\n  site:\n    network:\n      interfaces:\n        ens192: { type: dhcp }\n'

/** Agent settings, installation and stages. */
export const hostCases: readonly Case[] = [
  local('features', '  featureGate: "UserDataForm, DisableWorkerNodeCapReconcile"\n'),
  local('a misspelled feature', '  featureGate: UserDataFrom\n', [
    ['warning', 'feature-gate', 4, '/stylus/featureGate'],
  ]),
  local('no feature', '  featureGate: ""\n'),
  local(
    'limits of logins',
    '  localUI:\n    login:\n      attemptsBeforeExponentialDelayStarts: 2\n      maxFailedAttemptsBeforeLockout: 4\n',
  ),
  local('a lockout before the delay', '  localUI:\n    login:\n      maxFailedAttemptsBeforeLockout: 2\n', [
    ['warning', 'login-limits', 5, '/stylus/localUI/login'],
  ]),
  local(
    'limits without rate limiting',
    '  localUI:\n    login:\n      disableRateLimiting: true\n      lockoutDurationInMinutes: 5\n',
    [['warning', 'login-limits', 7, '/stylus/localUI/login/lockoutDurationInMinutes']],
  ),
  cloudConfig('power off', `${managed}install:\n  poweroff: true\n  reboot: false\n`),
  cloudConfig('power off and reboot', `${managed}install:\n  poweroff: true\n  reboot: true\n`, [
    ['warning', 'power-conflict', 5, '/install/reboot'],
  ]),
  cloudConfig(
    'partitions',
    `${managed}install:\n  partitions:\n    persistent: { size: 200000, fs: ext4 }\n  extra-partitions:\n    - { name: data, size: 100000, fs: ext4, label: DATA }\n    - { name: extra, size: 0, fs: ext4, label: EXTRA }\n`,
  ),
  cloudConfig(
    'two partitions that grow',
    `${managed}install:\n  partitions:\n    persistent: { size: 0, fs: ext4 }\n  extra-partitions:\n    - { name: extra, size: 0, fs: ext4 }\n`,
    [['error', 'growing-partitions', 7, '/install/extra-partitions/0/size']],
  ),
  cloudConfig(
    'a partition without a file system',
    `${managed}install:\n  partitions:\n    persistent: { size: 100 }\n`,
    [['warning', 'partition-file-system', 5, '/install/partitions/persistent']],
  ),
  ...Object.keys(stageNames).map((name) =>
    cloudConfig(
      `the stage ${name} and what is before and after it`,
      `${managed}stages:\n  ${name}:${steps}  ${name}.before:${steps}  ${name}.after:${steps}`,
    ),
  ),
  cloudConfig(
    'a stage of the provider',
    `${managed}stages:\n  provider-kairos.bootstrap.before.master:${steps}`,
  ),
  cloudConfig('a misspelled stage', `${managed}stages:\n  initramf:${steps}`, [
    ['warning', 'unknown-stage', 4, '/stages/initramf'],
  ]),
  cloudConfig('a misspelled stage with a suffix', `${managed}stages:\n  netwrok.after:${steps}`, [
    ['warning', 'unknown-stage', 4, '/stages/netwrok.after'],
  ]),
  cloudConfig('a suffix that does not exist', `${managed}stages:\n  boot.later:${steps}`, [
    ['warning', 'unknown-stage', 4, '/stages/boot.later'],
  ]),
  cloudConfig(
    'users of a late stage',
    `${managed}stages:\n  boot:\n    - users: { ada: { groups: [sudo] } }\n`,
    [['info', 'late-users', 5, '/stages/boot/0/users']],
  ),
  cloudConfig(
    'users of the earliest stage',
    `${managed}stages:\n  initramfs:\n    - users: { ada: { groups: [sudo] } }\n`,
  ),
  cloudConfig('an adapter of VMware', ens192, [
    ['info', 'vmxnet3-offload', 7, '/stylus/site/network/interfaces/ens192'],
  ]),
  cloudConfig(
    'an adapter of VMware with half of the step',
    `${ens192}stages:\n  initramfs:\n${offload('tx-udp_tnl-segmentation')}`,
    [['info', 'vmxnet3-offload', 7, '/stylus/site/network/interfaces/ens192']],
  ),
  cloudConfig(
    'an adapter of VMware with the step',
    `${ens192}stages:\n  initramfs:\n${offload('tx-udp_tnl-segmentation')}${offload('tx-udp_tnl-csum-segmentation')}`,
  ),
]
