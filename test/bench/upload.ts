import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { json } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import type { IncomingMessage } from 'node:http'
import type { Upload } from '@edgesmith/contract/upload'
import { Client } from 'minio'
import { runCommand } from '../../deploy/setup/command.ts'
import { startGround } from '../../services/gateway/test/gateway-process.ts'
import type { Ground } from '../../services/gateway/test/gateway-process.ts'
import { asOperator } from '../support/as-operator.ts'

const GiB = 1024 ** 3
const MiB = 1024 ** 2
/** How much is uploaded at a time, in bytes; `UPLOAD_BENCH_BYTES` sets less for a quick look. */
const size = Number(process.env['UPLOAD_BENCH_BYTES'] ?? 8 * GiB)
/** The way through the gateway and the direct one, each as often first as last. */
const order = ['direct', 'gateway', 'gateway', 'direct'] as const
const sampleMs = 100

/**
 * Uploads a Zstandard file through the gateway into MinIO, and puts the same bytes into the same MinIO
 * with the minio client, in turns. `throughputRatio` is the gateway's throughput by the client's;
 * `memoryGrowthMiB` is by how much the gateway's resident memory grew at most, from what it was when
 * it had served one small upload.
 */
export async function run(): Promise<Record<string, number>> {
  await using ground = await startGround('minio')
  await using gateway = await ground.startGateway()
  const { client, bucket } = openClient(ground)
  await uploadThrough(gateway.url, MiB)
  const memoryBefore = await residentMemory(gateway.pid)
  let memoryPeak = memoryBefore
  const sampling = setInterval(() => {
    void residentMemory(gateway.pid).then((bytes) => {
      memoryPeak = Math.max(memoryPeak, bytes)
    })
  }, sampleMs)
  const seconds = { direct: 0, gateway: 0 }
  for (const way of order) {
    await runCommand('sync', [])
    const startedAt = performance.now()
    if (way === 'direct') await client.putObject(bucket, 'direct', contentOf(size), size)
    else await uploadThrough(gateway.url, size)
    const taken = (performance.now() - startedAt) / 1000
    seconds[way] += taken
    console.error(`${way}: ${(size / MiB / taken).toFixed(0)} MiB/s`)
    for await (const { key, size: stored } of ground.store.list('')) {
      if (stored >= size || key.includes('/by-digest/')) await ground.store.remove(key)
    }
  }
  clearInterval(sampling)
  return {
    throughputRatio: round(seconds.direct / seconds.gateway),
    memoryGrowthMiB: round((memoryPeak - memoryBefore) / MiB),
    gatewayMiBPerSecond: round((2 * size) / MiB / seconds.gateway),
    directMiBPerSecond: round((2 * size) / MiB / seconds.direct),
  }
}

function openClient({ objectStore }: Ground): { client: Client; bucket: string } {
  if (objectStore.kind !== 'minio') throw new Error('The benchmark needs MinIO.')
  const { endpoint, accessKey, secretKey, bucket } = objectStore
  const { hostname, port } = new URL(endpoint)
  const client = new Client({ endPoint: hostname, port: Number(port), useSSL: false, accessKey, secretKey })
  return { client, bucket }
}

async function uploadThrough(gatewayUrl: string, bytes: number): Promise<void> {
  const sent = request(`${gatewayUrl}/v1/uploads`, {
    method: 'POST',
    headers: { ...asOperator, 'content-type': 'application/octet-stream', 'content-length': bytes },
  })
  const responded = once(sent, 'response') as Promise<[IncomingMessage]>
  await pipeline(contentOf(bytes), sent)
  const [response] = await responded
  const upload = (await json(response)) as Upload
  if (response.statusCode !== 201 || upload.size !== bytes || upload.kind !== 'zstd') {
    throw new Error(`The gateway answered ${String(response.statusCode)}: ${JSON.stringify(upload)}`)
  }
}

const blockSize = 128 * 1024
/** A mebibyte of blocks that cannot be compressed, as the layers of images in a content bundle are. */
const blocks = Buffer.concat(
  Array.from({ length: 8 }, () => Buffer.concat([blockHeader(blockSize, false), randomBytes(blockSize)])),
)

/** A Zstandard file of exactly that many bytes: one frame of raw blocks (RFC 8878, section 3.1.1). */
function contentOf(bytes: number): Readable {
  return Readable.from(pieces(bytes), { objectMode: false, highWaterMark: MiB })
}

function* pieces(bytes: number): Generator<Buffer> {
  // Magic number, no content size, a window of 8 MiB.
  yield Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68])
  let left = bytes - 6
  for (; left > blocks.length + blockSize; left -= blocks.length) yield blocks
  for (; left > 3 + blockSize; left -= 3 + blockSize) yield blocks.subarray(0, 3 + blockSize)
  const last = left - 3
  yield Buffer.concat([blockHeader(last, true), blocks.subarray(3, 3 + last)])
}

function blockHeader(length: number, isLast: boolean): Buffer {
  const header = Buffer.alloc(3)
  header.writeUIntLE((length << 3) | (isLast ? 1 : 0), 0, 3)
  return header
}

async function residentMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
