import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { dataKey, recordImage } from '@edgesmith/artifacts/artifacts'
import type { Artifact, DownloadUrl } from '@edgesmith/contract/artifact'
import { objectManifest, patchManifest, type Manifest, type Patch } from '@edgesmith/manifest/manifest'
import { openMinioStore, type MinioSettings } from '@edgesmith/store/minio-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { presignGet } from '@edgesmith/store/presigned-url'
import { projectPrefix } from '@edgesmith/store/project-stores'
import { v7 as uuidv7 } from 'uuid'
import { startMinio } from '../../deploy/minio/server.ts'
import { ensureDebianPackages, neededBy } from '../../deploy/setup/debian-packages.ts'
import { startServiceProcess, type ServiceProcess } from '../../deploy/setup/service-process.ts'
import { fetch as asGateway } from '../support/as-gateway.ts'
import { tlsDirectoryOf } from '../support/service-certificates.ts'
import { ownProject, ownStore } from '../support/projects.ts'

const execute = promisify(execFile)
const MiB = 1024 ** 2
/** Size of the base, in bytes; `DOWNLOAD_BENCH_BYTES` sets less for a quick look. */
const size = Number(process.env['DOWNLOAD_BENCH_BYTES'] ?? 2200 * MiB)
const rounds = 7
const fastClients = 16
const slowClients = 48

/**
 * A stamped variant of a base in MinIO is downloaded with curl from the artifact service, the same bytes
 * from nginx as a static file and from MinIO with a presigned URL, in turns; ratios are of the medians of
 * the rates. The service keeps bytes of images on its disk, as nginx does; `coldRatioToMinio` is of the one
 * download that finds nothing there. `memoryMiB` is the most memory that the service has with 64 clients at
 * once, most of them slow; `memoryBeforeMiB` what it had at most before, when it fetched all bytes too.
 */
export async function run(): Promise<Record<string, number>> {
  await ensureDebianPackages(neededBy.downloadBenchmark)
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-bench-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const minio = resources.use(await startMinio({ dataDir: join(directory, 'minio') }))
  const settings: MinioSettings = { ...minio, bucket: 'edgesmith' }
  const store = ownStore(await openMinioStore(settings))
  const { artifact, manifest } = await storeVariant(store)
  const service = resources.use(await startService(settings, directory))
  const serviceUrl = await signedUrl(service, artifact)

  await store.join('copy', manifest.extents)
  const minioUrl = await presignGet(settings, {
    endpoint: settings.endpoint,
    key: `${projectPrefix(ownProject)}copy`,
    seconds: 86_400,
    contentType: artifact.mediaType,
    contentDisposition: 'attachment',
  })
  const www = join(directory, 'www')
  await mkdir(www)
  await settleDisk()
  const cold = await rateOf(serviceUrl)
  console.error(`cold: ${cold.toFixed(0)} MiB/s`)
  await execute('curl', ['--silent', '--fail', '--output', join(www, 'image.iso'), serviceUrl])
  const nginxUrl = resources.use(await startNginx(directory)).url

  const ways = { service: serviceUrl, nginx: nginxUrl, minio: minioUrl }
  await assertSameBytes(Object.values(ways))
  const rates = { service: [] as number[], nginx: [] as number[], minio: [] as number[] }
  const names = ['service', 'nginx', 'minio'] as const
  await settleDisk()
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < names.length; turn += 1) {
      const way = names[(round + turn) % names.length] ?? 'service'
      rates[way].push(await rateOf(ways[way]))
    }
    console.error(names.map((way) => `${way}: ${(rates[way].at(-1) ?? 0).toFixed(0)} MiB/s`).join(', '))
  }
  const memoryBefore = await peakMemory(service.pid)
  await downloadByMany(serviceUrl, service.pid)
  const [ours, nginx, direct] = [median(rates.service), median(rates.nginx), median(rates.minio)]
  return {
    ratioToNginx: round(ours / nginx),
    ratioToMinio: round(ours / direct),
    coldRatioToMinio: round(cold / direct),
    memoryMiB: round(await peakMemory(service.pid)),
    memoryBeforeMiB: round(memoryBefore),
    serviceMiBPerSecond: round(ours),
    nginxMiBPerSecond: round(nginx),
    minioMiBPerSecond: round(direct),
  }
}

/** A base and a variant of it with other user-data, as a stamp leaves it: 14 extents. */
async function storeVariant(store: ObjectStore): Promise<{ artifact: Artifact; manifest: Manifest }> {
  await store.put('bases/base/data', Readable.from(blocksOf(size), { objectMode: false, highWaterMark: MiB }))
  const id = uuidv7()
  const userData = randomBytes(40_000)
  const capacity = 256 * 1024
  await store.put(dataKey(id), Buffer.concat([randomBytes(8), userData]))
  const lengthAt = (offset: number): Patch => ({
    offset,
    extent: { object: dataKey(id), offset: 0, length: 8 },
  })
  const content = Math.floor(size / 2)
  const manifest = patchManifest(objectManifest('bases/base/data', size), [
    ...[40_970, 47_114, 63_498, 71_690, 90_122].map(lengthAt),
    { offset: content, extent: { object: dataKey(id), offset: 8, length: userData.length } },
    { offset: content + userData.length, extent: { length: capacity - userData.length, zeros: true } },
  ])
  const buildId = uuidv7()
  return { artifact: await recordImage(store, { buildId, id, name: 'site-0001.iso', manifest }), manifest }
}

function* blocksOf(bytes: number): Generator<Buffer> {
  const block = randomBytes(8 * MiB)
  for (let left = bytes, index = 0; left > 0; left -= block.length, index += 1) {
    block.writeUInt32LE(index)
    yield Buffer.from(block.subarray(0, left))
  }
}

function startService(minio: MinioSettings, directory: string): Promise<ServiceProcess> {
  return startServiceProcess({
    service: 'artifact',
    awaited: 'artifact',
    logFile: join(directory, 'artifact.log'),
    env: {
      ARTIFACT_PORT: '0',
      ARTIFACT_INTERNAL_PORT: '0',
      OBJECT_STORE: 'minio',
      MINIO_ENDPOINT: minio.endpoint,
      MINIO_ACCESS_KEY: minio.accessKey,
      MINIO_SECRET_KEY: minio.secretKey,
      SERVICE_TLS_DIRECTORY: tlsDirectoryOf('artifact'),
      SIGNING_KEYS: 'benchmark'.repeat(4),
      ARTIFACT_CACHE_DIRECTORY: join(directory, 'cache'),
    },
  })
}

async function signedUrl(service: ServiceProcess, { id }: Artifact): Promise<string> {
  const response = await asGateway(`${service.internalUrl ?? ''}/v1/artifacts/${id}/download-url`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  if (!response.ok) throw new Error(`The service answered ${response.status}: ${await response.text()}`)
  return ((await response.json()) as DownloadUrl).url
}

async function startNginx(directory: string): Promise<AsyncDisposable & { url: string }> {
  const port = await freePort()
  const configuration = join(directory, 'nginx.conf')
  await writeFile(
    configuration,
    `daemon off;
worker_processes auto;
pid ${directory}/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${directory}/nginx-${kind};`).join('\n  ')}
  server { listen 127.0.0.1:${port}; root ${directory}/www; }
}
`,
  )
  // The workers run as nobody when nginx is started by root.
  await execute('chmod', ['-R', 'a+rX', directory])
  const child = spawn('nginx', ['-p', directory, '-c', configuration], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = once(child, 'close')
  const url = `http://127.0.0.1:${port}/image.iso`
  const isListening = () =>
    fetch(url, { method: 'HEAD' }).then(
      ({ ok }) => ok,
      () => false,
    )
  while (!(await isListening())) {
    if (child.exitCode !== null) throw new Error('nginx ended instead of listening.')
    await delay(50)
  }
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function assertSameBytes(urls: readonly string[]): Promise<void> {
  const sums = new Set<string>()
  for (const url of urls) {
    const { stdout } = await execute('sh', ['-c', 'curl --silent --fail "$0" | sha256sum', url])
    sums.add(stdout)
  }
  if (sums.size !== 1) throw new Error('The ways do not answer the same bytes.')
}

/** Waits until all that was written before is on the disk: that takes processor time, and holds up who writes. */
async function settleDisk(): Promise<void> {
  await execute('sync')
}

/** Downloads all and answers the rate in MiB per second. */
async function rateOf(url: string): Promise<number> {
  const { stdout } = await execute('curl', [
    ...['--silent', '--fail', '--output', '/dev/null', '--write-out', '%{size_download} %{time_total}', url],
  ])
  const [downloaded = 0, seconds = 0] = stdout.split(' ').map(Number)
  if (downloaded !== size) throw new Error(`${downloaded} of ${size} bytes came.`)
  return downloaded / MiB / seconds
}

/** Clients of both kinds at once, until the fast ones have all. */
async function downloadByMany(url: string, pid: number): Promise<void> {
  // Begins the peak of the resident memory anew (proc(5), "clear_refs").
  await writeFile(`/proc/${pid}/clear_refs`, '5')
  const slow = Array.from({ length: slowClients }, () =>
    spawn('curl', ['--silent', '--limit-rate', '1M', '--output', '/dev/null', url], { stdio: 'ignore' }),
  )
  const ended = slow.map((client) => once(client, 'close'))
  await Promise.all(Array.from({ length: fastClients }, () => rateOf(url)))
  if (slow.some(({ exitCode }) => exitCode !== null)) throw new Error('A slow client ended too soon.')
  for (const client of slow) client.kill()
  await Promise.all(ended)
}

/** In MiB. */
async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
