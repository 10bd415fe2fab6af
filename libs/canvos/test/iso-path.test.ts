import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isoPathOf } from '../src/iso-path.ts'

const named = { CLUSTERCONFIG: 'demo.tgz', EDGE_CUSTOM_CONFIG: '.edge-custom-config.yaml' }

describe('isoPathOf', () => {
  for (const [workspacePath, buildArguments, expected] of [
    ['user-data', {}, { path: '/files-iso/config.yaml', split: false }],
    ['user-data', { IS_UKI: 'true' }, { path: '/config.yaml', split: false }],
    ['user-data', { IS_UKI: 'false' }, { path: '/files-iso/config.yaml', split: false }],
    ['content-2/core.tar.zst', {}, { path: '/opt/spectrocloud/content/core.tar.zst', split: true }],
    ['demo.tgz', named, { path: '/opt/spectrocloud/clusterconfig/spc.tgz', split: false }],
    ['overlay/files-iso/made/by/overlay.txt', {}, { path: '/made/by/overlay.txt', split: false }],
    ['overlay/files-iso/.hidden', { IS_UKI: 'true' }, { path: '/.hidden', split: false }],
    [
      'overlay/files-iso/boot/grub2/grub.cfg',
      { IS_UKI: 'true' },
      { path: '/boot/grub2/grub.cfg', split: false },
    ],
    ['overlay/files-iso/luet', {}, { path: '/luet', split: false }],
    ['.edge-custom-config.yaml', named, { path: '/.edge_custom_config.yaml', split: false }],
  ] as const) {
    it(`${workspacePath} with ${JSON.stringify(buildArguments)}`, () => {
      assert.deepEqual(isoPathOf(workspacePath, buildArguments), expected)
    })
  }

  it('tells what is no file of the ISO', () => {
    for (const workspacePath of [
      'certs/proxy.crt',
      'local-ui.tar',
      'other.tgz',
      'content-1/sub/x.zst',
      'overlay/files/etc/motd',
      'Dockerfile',
    ]) {
      assert.ok('absent' in isoPathOf(workspacePath, named), workspacePath)
    }
  })

  it('tells which files of an overlay CanvOS writes over', () => {
    for (const [workspacePath, isUki, reason] of [
      ['overlay/files-iso/boot/grub2/grub.cfg', 'false', /default entry/],
      ['overlay/files-iso/luet', 'true', /its own/],
      ['overlay/files-iso/opt/spectrocloud/local-ui.tar', 'true', /unpacks/],
    ] as const) {
      const place = isoPathOf(workspacePath, { IS_UKI: isUki })
      assert.match('absent' in place ? place.absent : '', reason, workspacePath)
    }
  })
})
