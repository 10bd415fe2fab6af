import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { layoutInputs } from '@edgesmith/canvos/workspace'
import { withMembers } from '../src/archive-members.ts'
import { laidContent } from '../src/laid-content.ts'
import { codes, openBench, rawTar, run, tarOf } from './fixtures.ts'

async function lay(role: 'overlay' | 'secureBoot', tar: Buffer, given: Record<string, string> = {}) {
  await using bench = await openBench()
  const { files, diagnostics } = await withMembers(bench.store, [await bench.put(role, tar)])
  const layout = layoutInputs({ tag: 'v4.9.36', inputs: files, arguments: given })
  const laid: Record<string, string> = {}
  for (const file of layout.files) {
    const { size, open } = await laidContent(bench.store, file)
    const bytes = await buffer(await open())
    assert.equal(bytes.length, size)
    laid[`${file.path}${file.executable === true ? '*' : ''}`] = bytes.toString()
  }
  const all = [...diagnostics, ...layout.diagnostics]
  return { laid, told: codes(all), messages: all.map(({ message }) => message) }
}

const dockerfile = 'ARG BASE\nFROM $BASE\nRUN apt-get install -y nginx\n'

describe('an overlay', () => {
  it('is laid file by file over the tree of CanvOS', async () => {
    const files = {
      Dockerfile: dockerfile,
      'overlay/files/etc/motd': 'hello',
      'overlay/files/opt/spectrocloud/bin/check disk@1.sh': '#!/bin/sh\n',
      'overlay/files/etc/empty': '',
      'overlay/files-iso/boot/grub2/theme.txt': 'x'.repeat(70_000),
    }
    const tar = await run(
      'sh',
      ['-c', 'chmod +x overlay/files/opt/spectrocloud/bin/*; tar -cf - ./Dockerfile overlay'],
      files,
    )
    const { laid, told } = await lay('overlay', tar)
    const { 'overlay/files/opt/spectrocloud/bin/check disk@1.sh': script, ...others } = files
    assert.deepEqual(told, [])
    assert.deepEqual(laid, { ...others, 'overlay/files/opt/spectrocloud/bin/check disk@1.sh*': script })
  })

  for (const path of [
    'Earthfile',
    '.arg',
    '.git/config',
    '.git/hooks/post-checkout',
    'earthly.sh',
    'Dockerfile/a',
    'dockerfile',
    'scripts/install-kernel-headers.sh',
    'cis-harden/harden.sh',
    'k8s_version.json',
    'user-data',
    'certs/ca.crt',
    'content-1/core.zst',
    'secure-boot/private-keys/db.key',
    'overlay/other/file',
    'overlay/files-other',
    'overlay/files-iso/opt/spectrocloud/content/core.zst_part00',
    'overlay/files-iso/opt/spectrocloud/clusterconfig/spc.tgz',
    'overlay/files-iso/files-iso/config.yaml',
    'overlay/files-iso/.edge_custom_config.yaml',
  ]) {
    it(`cannot set ${path}`, async () => {
      const { laid, told } = await lay('overlay', await tarOf({ 'overlay/files/etc/motd': 'x', [path]: 'x' }))
      assert.deepEqual([laid, told], [{}, ['error overlay.path']])
    })
  }

  for (const [what, tar, expected] of [
    ['a path that leads out', rawTar({ name: 'overlay/files/../../Earthfile' }), 'error archive.parent-path'],
    ['an absolute path', rawTar({ name: '/overlay/files/a' }), 'error archive.absolute-path'],
    ['a link', rawTar({ name: 'overlay/files/a', type: '2', linkName: '/etc' }), 'error archive.link'],
    ['a device', rawTar({ name: 'overlay/files/a', type: '3' }), 'error archive.device'],
    ['a look-alike', rawTar({ name: 'overlay/files/раsswd' }), 'error archive.odd-name'],
    ['no file', rawTar({ name: 'overlay/files/', type: '5' }), 'error archive.empty'],
    ['gzip', Buffer.from('1f8b0800', 'hex'), 'error overlay.wrong-kind'],
  ] as const) {
    it(`with ${what}: ${expected}`, async () => {
      const { laid, told } = await lay('overlay', tar)
      assert.deepEqual([laid, told], [{}, [expected]])
    })
  }

  it('with a Dockerfile of another base is warned of', async () => {
    const { laid, told } = await lay('overlay', await tarOf({ Dockerfile: 'FROM ubuntu:22.04\n' }))
    assert.deepEqual([Object.keys(laid), told], [['Dockerfile'], ['warning overlay.dockerfile-base']])
    for (const base of ['from ${BASE}', 'FROM --platform=linux/amd64 $BASE AS custom']) {
      assert.deepEqual((await lay('overlay', await tarOf({ Dockerfile: `${base}\n` }))).told, [])
    }
  })
})

const keys = {
  'secure-boot/enrollment/PK.auth': 'pk',
  'secure-boot/private-keys/db.key': 'db key',
  'secure-boot/private-keys/tpm2-pcr-private.pem': 'pcr',
  'secure-boot/public-keys/db.pem': 'db',
}
const uki = { IS_UKI: 'true' }

describe('Secure Boot keys', () => {
  it('are laid for Trusted Boot', async () => {
    const tar = await run('tar', ['-cf', '-', 'secure-boot'], keys)
    assert.deepEqual(await lay('secureBoot', tar, uki), { laid: keys, told: [], messages: [] })
  })

  it('are left out of other builds, and that is told', async () => {
    const { laid, told } = await lay('secureBoot', await tarOf(keys))
    assert.deepEqual([laid, told], [{}, ['warning secure-boot.unused']])
  })

  for (const missing of Object.keys(keys)) {
    it(`are not whole without ${missing}`, async () => {
      const { [missing as keyof typeof keys]: _, ...others } = keys
      const { told } = await lay('secureBoot', await tarOf(others), uki)
      assert.deepEqual(told, ['error secure-boot.missing'])
    })
  }

  it('that would replace each other are refused', async () => {
    const tar = await tarOf({ ...keys, 'secure-boot/enrollment/db.key': 'other' })
    assert.deepEqual((await lay('secureBoot', tar, uki)).told, ['error secure-boot.name-clash'])
    const exported = { ...keys, 'secure-boot/exported-keys/db.key': 'exported' }
    assert.deepEqual((await lay('secureBoot', await tarOf(exported), uki)).told, [])
  })

  for (const path of ['Earthfile', 'secure-boot/other/a', 'secure-boot/private-keys/a/b', 'secure-boot/a']) {
    it(`do not come with ${path}`, async () => {
      const { laid, told } = await lay('secureBoot', await tarOf({ ...keys, [path]: 'x' }), uki)
      assert.deepEqual([laid, told], [{}, ['error secure-boot.path']])
    })
  }

  it('packed otherwise than in a tar are refused', async () => {
    const { told } = await lay('secureBoot', await tarOf(keys, '--gzip'), uki)
    assert.deepEqual(told, ['error secure-boot.wrong-kind'])
  })
})
