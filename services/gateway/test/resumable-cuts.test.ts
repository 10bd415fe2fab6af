import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import type { ResumableUpload } from '@edgesmith/contract/upload'
import type { ObjectStoreConfig } from '@edgesmith/store/open-store'
import { findUpload } from '@edgesmith/uploads/uploads'
import { fetch } from '../../../test/support/as-operator.ts'
import { keysOf, startGround } from './gateway-process.ts'
import { append, appendAndCut, beginUpload, offsetOf } from './tus-client.ts'

const cuts = 20
/** At one cut the gateway is stopped once it is idle, at the other it is killed while it receives. */
const stoppedAt = 6
const killedAt = 13

describe('an upload over a line that breaks', { timeout: 480_000 }, () => {
  for (const kind of ['directory', 'minio'] satisfies ObjectStoreConfig['kind'][]) {
    it(`survives twenty cuts and two restarts of the gateway (${kind})`, async () => {
      await using ground = await startGround(kind)
      const random = seededRandom(20_260_314)
      const content = zstdCompressSync(incompressible(60 * 1024 * 1024 + 12_345, random))
      let gateway = await ground.startGateway()
      const path = new URL(await beginUpload(gateway.url, content.length)).pathname
      let sent = 0
      for (let cut = 1; cut <= cuts; cut += 1) {
        const url = `${gateway.url}${path}`
        const offset = await offsetOf(url)
        assert.ok(offset <= sent, 'nothing is kept that was not sent')
        const rest = content.subarray(offset)
        const cutAfter = 1 + Math.floor(random() * (rest.length / (cuts - cut + 2)) * 1.5)
        const isKilled = cut === killedAt
        await appendAndCut(url, offset, rest, cutAfter, isKilled ? gateway.kill : undefined)
        // What was cut may still arrive after the next request has asked where to go on.
        sent = Math.max(sent, offset + cutAfter)
        if (cut === stoppedAt) await gateway[Symbol.asyncDispose]()
        if (cut === stoppedAt || isKilled) gateway = await ground.startGateway()
      }
      const url = `${gateway.url}${path}`
      const offset = await offsetOf(url)
      const answer = await append(url, offset, content.subarray(offset))
      assert.equal(answer.status, 204, answer.body)

      const id = `sha256:${createHash('sha256').update(content).digest('hex')}`
      assert.equal(answer.headers['upload-content-id'], id)
      const told = (await (await fetch(url)).json()) as ResumableUpload
      assert.deepEqual([told.state, told.upload?.id, told.upload?.kind], ['complete', id, 'zstd'])
      const found = await findUpload(ground.store, id)
      assert.ok(found !== undefined)
      assert.ok(content.equals(await buffer(await ground.store.get(found.objectKey))))
      assert.deepEqual(
        (await keysOf(ground.store)).filter((key) => key.includes('/tail/')),
        [],
        'no pieces are left',
      )
      await gateway[Symbol.asyncDispose]()
    })
  }
})

/** The same numbers in [0, 1) for the same seed (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function incompressible(size: number, random: () => number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let offset = 0; offset + 4 <= size; offset += 4) bytes.writeUInt32LE(random() * 2 ** 32, offset)
  return bytes
}
