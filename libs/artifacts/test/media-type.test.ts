import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mediaTypeOf } from '../src/media-type.ts'

describe('mediaTypeOf', () => {
  const cases = {
    'installer.iso': 'application/x-iso9660-image',
    'INSTALLER.ISO': 'application/x-iso9660-image',
    'installer.iso.sha256': 'text/plain',
    'rootfs.tar': 'application/x-tar',
    'spc.tgz': 'application/gzip',
    'core.tar.zst': 'application/zstd',
    'disk.raw': 'application/octet-stream',
    'disk.img': 'application/octet-stream',
    'k8s_version.json': 'application/json',
    'profile.yaml': 'application/yaml',
    'profile.yml': 'application/yaml',
    'build.log': 'text/plain',
    iso: 'application/octet-stream',
    'file.unknown': 'application/octet-stream',
    'file.constructor': 'application/octet-stream',
  }
  for (const [name, expected] of Object.entries(cases)) {
    it(`takes ${name} for ${expected}`, () => {
      assert.equal(mediaTypeOf(name), expected)
    })
  }
})
