import { execFile } from 'node:child_process'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { zstdCompressSync } from 'node:zlib'

const execute = promisify(execFile)

/** Every input of a build, of content that no other build has. */
export type Inputs = {
  readonly site: string
  readonly userData: Buffer
  readonly bundles: Readonly<Record<string, Buffer>>
  readonly clusterDefinition: Buffer
  readonly edgeCustomConfig: Buffer
  readonly localUi: Buffer
  readonly cert: Buffer
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function makeTar(files: Record<string, Buffer | string>, ...options: string[]): Promise<Buffer> {
  const directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-inputs-'))
  try {
    for (const [name, bytes] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(directory, name)), { recursive: true })
      await writeFile(path.join(directory, name), bytes)
    }
    const { stdout } = await execute(
      'tar',
      [...options, '-cf', '-', '-C', directory, ...Object.keys(files)],
      {
        encoding: 'buffer',
        maxBuffer: 64 * 1024 * 1024,
      },
    )
    return stdout
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function makeCertificate(): Promise<Buffer> {
  const directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-inputs-'))
  try {
    const file = path.join(directory, 'cert.pem')
    const key = path.join(directory, 'key.pem')
    await execute('openssl', [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-subj', '/CN=proxy.example.com', '-keyout', key, '-out', file],
    ])
    return await readFile(file)
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** Makes the inputs of one build. */
export async function makeInputs(): Promise<Inputs> {
  const site = `site-${randomBytes(4).toString('hex')}`
  const { publicKey } = generateKeyPairSync('ed25519')
  const key = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  return {
    site,
    userData: Buffer.from(
      `#cloud-config\nstylus:\n  managementMode: local\n  site:\n    name: ${site}\n    tags:\n      region: "ümlaut ✓"\n`,
    ),
    bundles: {
      'core-content.tar.zst': zstdCompressSync(await makeTar({ 'core.bin': randomBytes(3_000_000) })),
      'extra.zst': zstdCompressSync(await makeTar({ 'extra.txt': site })),
    },
    clusterDefinition: await makeTar({ 'cluster.json': JSON.stringify({ site }) }, '--gzip'),
    edgeCustomConfig: Buffer.from(
      `content:\n  signing:\n    publicKey:\n      base64EncodedValue: ${Buffer.from(key).toString('base64')}\n      description: test key\n`,
    ),
    localUi: await makeTar({ 'local-ui/index.html': `<h1>${site}</h1>` }),
    cert: await makeCertificate(),
  }
}

/** The form of a build with these inputs. */
export function toForm(spec: object, inputs?: Inputs): FormData {
  const form = new FormData()
  const attach = (role: string, bytes: Buffer, name: string) => {
    form.append(role, new Blob([new Uint8Array(bytes)]), name)
  }
  if (inputs !== undefined) {
    attach('userData', inputs.userData, 'user-data')
    for (const [name, bytes] of Object.entries(inputs.bundles)) attach('contentBundle', bytes, name)
    attach('clusterDefinition', inputs.clusterDefinition, 'demo-cluster.tgz')
    attach('edgeCustomConfig', inputs.edgeCustomConfig, 'edge-custom-config.yaml')
    attach('localUi', inputs.localUi, 'local-ui.tar')
    attach('cert', inputs.cert, 'proxy.pem')
  }
  form.append('spec', new Blob([JSON.stringify(spec)], { type: 'application/json' }), 'spec.json')
  return form
}
