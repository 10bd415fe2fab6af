import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { findUpload } from '@edgesmith/uploads/uploads'
import { pack } from 'tar-stream'
import { startBuilder } from '../src/service.ts'
import { Harness } from './harness.ts'
import { makeAlteredFixture } from './trial-repository.ts'

const prefix = 'urn:edgesmith:problem:'

/** A CanvOS that builds happily and drops a bundle and part of the overlay, alters the key, and takes no definition. */
function spoil(earthfile: string): string {
  const lines: [string, string][] = [
    [
      'COPY --if-exists content-*/*.zst /overlay/opt/spectrocloud/content/',
      'COPY --if-exists kontent-*/*.zst /overlay/opt/spectrocloud/content/',
    ],
    [
      'COPY --if-exists "$EDGE_CUSTOM_CONFIG" /overlay/.edge_custom_config.yaml',
      'RUN echo other > /overlay/.edge_custom_config.yaml',
    ],
    [
      'COPY overlay/files-iso/ /overlay/',
      'COPY overlay/files-iso/ /overlay/\n    RUN rm /overlay/made/dropped.txt',
    ],
    ['COPY --if-exists "$CLUSTERCONFIG" /overlay/opt/spectrocloud/clusterconfig/spc.tgz', 'RUN true'],
  ]
  return lines.reduce((text, [line, instead]) => {
    assert.ok(text.includes(line), line)
    return text.replace(line, instead)
  }, earthfile)
}

describe('The proof of the inputs', () => {
  const stack = new AsyncDisposableStack()
  let harness: Harness
  before(async () => {
    const repository = stack.use(await makeAlteredFixture(spoil))
    harness = stack.use(await Harness.open({ CANVOS_REPOSITORY: repository.path }))
    stack.use(await startBuilder(harness.config))
  })
  after(() => stack.disposeAsync())

  it('fails a build whose ISO lacks inputs, and names each of them', async () => {
    const overlay = pack()
    for (const name of ['kept', 'dropped'])
      overlay.entry({ name: `overlay/files-iso/made/${name}.txt` }, name)
    overlay.finalize()
    const id = await harness.submit({
      inputs: {
        userData: await harness.upload('#cloud-config\nstylus:\n  site:\n    name: proof\n'),
        contentBundles: [await harness.upload(zstdCompressSync('bundle'), 'core.tar.zst')],
        clusterDefinition: await harness.upload(gzipSync('definition'), 'cluster.tgz'),
        edgeCustomConfig: await harness.upload('content: {}\n'),
        overlay: await harness.upload(await buffer(overlay)),
      },
    })
    const { state, failure, artifacts } = await harness.ended(id)
    assert.equal(state, 'failed')
    assert.equal(failure?.type, `${prefix}input-missing`)
    assert.match(
      failure.detail,
      /contentBundles\/0 \(content-1\/core\.tar\.zst\) is not in test-installer\.iso/,
    )
    assert.match(failure.detail, /clusterDefinition \(cluster\.tgz\) is not in test-installer\.iso/)
    assert.match(failure.detail, /edgeCustomConfig \S+ is in test-installer\.iso with other bytes/)
    assert.match(
      failure.detail,
      /overlay \(overlay\/files-iso\/made\/dropped\.txt\) is not in test-installer\.iso: there is no \/made\/dropped\.txt/,
    )
    assert.doesNotMatch(failure.detail, /userData|kept/)
    assert.deepEqual(artifacts, [])
    for await (const { key } of harness.store.list('artifacts/')) assert.fail(`${key} is left in the store`)
  })

  it('does not build with bytes that the store has damaged', async () => {
    const reference = await harness.upload('#cloud-config\nstylus:\n  site:\n    name: intact\n')
    const stored = await findUpload(harness.store, reference.upload)
    assert.ok(stored !== undefined)
    await harness.store.put(
      stored.objectKey,
      Buffer.from('#cloud-config\nstylus:\n  site:\n    name: intakt\n'),
    )
    const { state, failure } = await harness.ended(await harness.submit({ inputs: { userData: reference } }))
    assert.equal(state, 'failed')
    assert.equal(failure?.type, `${prefix}input-unavailable`)
    assert.match(failure.detail, /\/inputs\/userData/)
  })
})
