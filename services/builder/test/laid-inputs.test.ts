import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { openFile } from '@edgesmith/iso/file'
import { pack } from 'tar-stream'
import { startBuilder } from '../src/service.ts'
import { Harness } from './harness.ts'

function tar(files: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
  const archive = pack()
  for (const [name, body] of Object.entries(files)) archive.entry({ name }, body)
  archive.finalize()
  return buffer(archive)
}

describe('Inputs that are not laid as they are', () => {
  it('are on the ISO: wrapped and unpacked bundles, a configuration made from a key, an overlay', async () => {
    await using harness = await Harness.open()
    await using _builder = await startBuilder(harness.config)
    const plain = await tar({ 'oci-layout': '{}', 'blobs/sha256/aa': randomBytes(300_000) })
    const inner = zstdCompressSync(randomBytes(5000))
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = String(publicKey.export({ type: 'spki', format: 'pem' }))
    const overlay = {
      'overlay/files-iso/made/by/overlay.txt': 'laid over',
      'overlay/files/etc/motd': 'in the root file system',
    }
    const id = await harness.submit({
      arguments: { ISO_NAME: 'laid' },
      inputs: {
        contentBundles: [
          await harness.upload(plain, 'plain.tar'),
          await harness.upload(await tar({ 'content-a/inner.zst': inner }), 'all.tar'),
        ],
        publicKey: await harness.upload(pem),
        overlay: await harness.upload(await tar(overlay)),
      },
    })
    const build = await harness.ended(id)
    assert.equal(build.state, 'succeeded', JSON.stringify(build.failure, null, 1))
    const iso = build.artifacts.find(({ name }) => name === 'laid.iso')
    assert.ok(iso !== undefined)
    const image = await harness.image(iso)
    const read = async (path: string) => buffer(await openFile(image, path))
    const content = '/opt/spectrocloud/content'
    assert.deepEqual(zstdDecompressSync(await read(`${content}/plain.tar.zst_part00`)), plain)
    assert.deepEqual(await read(`${content}/inner.zst_part00`), inner)
    const config = String(await read('/.edge_custom_config.yaml'))
    assert.ok(config.includes(Buffer.from(pem).toString('base64')), config)
    assert.equal(String(await read('/made/by/overlay.txt')), 'laid over')
    const ofOverlay = ({ pointer }: { pointer: string }) => pointer === '/inputs/overlay'
    const sha256 = createHash('sha256').update('laid over').digest('hex')
    assert.deepEqual(build.proof?.inputs.filter(ofOverlay), [
      { pointer: '/inputs/overlay', paths: ['/made/by/overlay.txt'], sha256, size: 9 },
    ])
    assert.equal(build.proof.unproved.filter(ofOverlay).length, 1)
  })
})
