import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { dataKey, recordChecksum, recordImage } from '@edgesmith/artifacts/artifacts'
import { putArchive } from '@edgesmith/builds/build-archive'
import { updateFleetArchive } from '@edgesmith/builds/fleet-archive'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { Build } from '@edgesmith/contract/build'
import type { Problem } from '@edgesmith/contract/problem'
import type { ProvenanceKey } from '@edgesmith/contract/provenance'
import { objectManifest } from '@edgesmith/manifest/manifest'
import { parseKey } from '@edgesmith/provenance/keys'
import { verifyProvenance } from '@edgesmith/provenance/verify'
import { ConfigurationError } from '@edgesmith/service/environment'
import type { CalledService } from '@edgesmith/service/lifecycle'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { v7 as uuidv7 } from 'uuid'
import { fetch } from '../../../test/support/as-gateway.ts'
import { ownProject, ownStore } from '../../../test/support/projects.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import { startArtifact } from '../src/service.ts'

const execute = promisify(execFile)
const bytes = Buffer.from('the bytes of an image')
const sha256 = createHash('sha256').update(bytes).digest('hex')

const newBuild = (): Build => ({
  id: uuidv7(),
  ...ownProject,
  state: 'succeeded',
  target: 'iso',
  canvos: { tag: 'v4.9.36', commit: '1b2c3d4e5f60718293a4b5c6d7e8f90123456789' },
  spec: {},
  arguments: { ARCH: 'amd64', UBUNTU_PRO_KEY: 'C1canary' },
  labels: {},
  attempt: 1,
  createdAt: '2026-03-14T09:26:53.589Z',
  startedAt: '2026-03-14T09:26:54.020Z',
  endedAt: '2026-03-14T09:41:07.114Z',
  artifacts: [],
  diagnostics: [],
})

describe('Provenance of an artifact', () => {
  let directory: string
  let whole: ObjectStore
  let store: ObjectStore
  let service: CalledService
  const keyFiles: string[] = []
  const build = newBuild()
  let iso: Artifact

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-provenance-'))
    whole = await openDirectoryStore(join(directory, 'objects'))
    store = ownStore(whole)
    for (const name of ['older', 'newer']) {
      const { privateKey } = generateKeyPairSync('ed25519')
      keyFiles.unshift(join(directory, `${name}.pem`))
      await writeFile(keyFiles[0] ?? '', privateKey.export({ type: 'pkcs8', format: 'pem' }))
    }
    service = await start(keyFiles)
    iso = await storeImage(build.id)
    await putArchive(store, build, { log: Buffer.from(''), events: Buffer.from('') })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await rm(directory, { recursive: true })
  })

  function start(files: readonly string[]): Promise<CalledService> {
    return startArtifact(
      {
        ...{ logLevel: 'silent', host: '127.0.0.1', port: 0 },
        internal: { host: '127.0.0.1', port: 0 },
        serviceTlsDirectory: tlsDirectoryOf('artifact'),
        ...{ publicUrl: undefined, trustedProxies: [], signingKeys: ['k'.repeat(32)] },
        objectStore: { kind: 'directory', directory: '' },
        provenance: files.length === 0 ? undefined : { keyFiles: files, builderId: 'urn:edgesmith:builder' },
      },
      { store: whole },
    )
  }

  async function storeImage(buildId: string, fleetId?: string): Promise<Artifact> {
    const id = uuidv7()
    await store.put(dataKey(id), bytes)
    const manifest = objectManifest(dataKey(id), bytes.length)
    const image = { id, buildId, name: 'store.iso', manifest }
    return recordImage(store, fleetId === undefined ? image : { ...image, fleetId })
  }

  const ask = (id: string, { internalUrl } = service) => fetch(`${internalUrl}/v1/artifacts/${id}/provenance`)
  async function provenanceOf(id: string, from = service): Promise<string> {
    const response = await ask(id, from)
    assert.equal(response.status, 200, await response.clone().text())
    assert.match(response.headers.get('content-type') ?? '', /^application\/vnd\.in-toto\+json\b/)
    return response.text()
  }
  async function keysOf({ internalUrl } = service): Promise<ProvenanceKey[]> {
    const response = await fetch(`${internalUrl}/v1/provenance-keys`)
    return ((await response.json()) as { items: ProvenanceKey[] }).items
  }

  it('is signed by the newest key, which the service tells, and is the same each time', async () => {
    const [newest, ...older] = await keysOf()
    assert.deepEqual([newest?.isCurrent, older.map(({ isCurrent }) => isCurrent)], [true, [false]])
    const provenance = await provenanceOf(iso.id)
    verifyProvenance({ provenance, sha256, keys: [parseKey(newest?.pem ?? '')] })
    assert.throws(() => verifyProvenance({ provenance, sha256, keys: [parseKey(older[0]?.pem ?? '')] }))
    assert.equal(await provenanceOf(iso.id), provenance)
    assert.doesNotMatch(Buffer.from(provenance, 'base64').toString() + provenance, /C1canary/)
    const { payload } = JSON.parse(provenance) as { payload: string }
    assert.doesNotMatch(Buffer.from(payload, 'base64').toString(), /C1canary/)
  })

  it('stays verifiable with the keys that are told when another one signs', async () => {
    await using before = await start(keyFiles.slice(1))
    const provenance = await provenanceOf(iso.id, before)
    const keys = (await keysOf()).map(({ pem }) => parseKey(pem))
    verifyProvenance({ provenance, sha256, keys })
    const payload = (json: string) => (JSON.parse(json) as { payload: string }).payload
    assert.equal(payload(provenance), payload(await provenanceOf(iso.id)))
  })

  it('is verified by openssl and by the command that docs/provenance.md tells', async () => {
    const files = { iso: join(directory, 'store.iso'), provenance: join(directory, 'provenance.json') }
    const provenance = await provenanceOf(iso.id)
    await writeFile(files.iso, bytes)
    await writeFile(files.provenance, provenance)
    const key = join(directory, 'public.pem')
    await writeFile(key, (await keysOf())[0]?.pem ?? '')

    const script = join(import.meta.dirname, '../../../deploy/verify.ts')
    const verify = (...options: string[]) => execute(process.execPath, [script, '--key', key, ...options])
    const { stdout } = await verify(files.iso, files.provenance)
    assert.match(
      stdout,
      /CanvOS v4\.9\.36.*\ncommit 1b2c3d4e5f60718293a4b5c6d7e8f90123456789\n[^]*verify: ok\n$/,
    )
    await writeFile(files.iso, 'other bytes')
    await assert.rejects(verify(files.iso, files.provenance), /the provenance is about store\.iso/)

    // The steps of docs/provenance.md.
    const { payload, signatures } = JSON.parse(provenance) as {
      payload: string
      signatures: { sig: string }[]
    }
    const statement = Buffer.from(payload, 'base64')
    const header = `DSSEv1 28 application/vnd.in-toto+json ${statement.length} `
    await writeFile(join(directory, 'signed'), Buffer.concat([Buffer.from(header), statement]))
    await writeFile(join(directory, 'sig'), Buffer.from(signatures[0]?.sig ?? '', 'base64'))
    const options = ['-verify', '-pubin', '-inkey', key, '-rawin', '-in', join(directory, 'signed')]
    const openssl = await execute('openssl', ['pkeyutl', ...options, '-sigfile', join(directory, 'sig')])
    assert.match(openssl.stdout, /Signature Verified Successfully/)
  })

  it('is there for checksums, and for builds that their fleet archived', async () => {
    const checksum = await recordChecksum(store, iso)
    const line = createHash('sha256').update(`${sha256}  store.iso\n`).digest('hex')
    const keys = (await keysOf()).map(({ pem }) => parseKey(pem))
    verifyProvenance({ provenance: await provenanceOf(checksum.id), sha256: line, keys })

    const fleetId = uuidv7()
    const site = newBuild()
    const image = await storeImage(site.id, fleetId)
    assert.equal((await ask(image.id)).status, 409)
    await updateFleetArchive(store, fleetId, Readable.from([{ build: site, events: [] }]), new Set([site.id]))
    verifyProvenance({ provenance: await provenanceOf(image.id), sha256, keys })
  })

  it('is refused where the build has no record, did not succeed, or nobody can sign', async () => {
    const problemOf = async (response: Response) => ((await response.json()) as Problem).type
    const orphan = await storeImage(uuidv7())
    const failed = { ...newBuild(), state: 'failed' as const }
    await putArchive(store, failed, { log: Buffer.from(''), events: Buffer.from('') })
    const unlucky = await storeImage(failed.id)
    for (const { id } of [orphan, unlucky]) {
      assert.equal(await problemOf(await ask(id)), 'urn:edgesmith:problem:provenance-unavailable')
    }
    assert.equal(await problemOf(await ask(uuidv7())), 'urn:edgesmith:problem:artifact-not-found')
    await using keyless = await start([])
    const response = await ask(iso.id, keyless)
    assert.equal(response.status, 409)
    assert.match(((await response.json()) as Problem).detail ?? '', /PROVENANCE_KEYS/)
    assert.deepEqual(await keysOf(keyless), [])
  })

  it('is not promised by a service whose keys are at fault: it does not start', async () => {
    const [file = ''] = keyFiles
    const publicFile = join(directory, 'only-public.pem')
    await writeFile(publicFile, (await keysOf())[0]?.pem ?? '')
    await assert.rejects(start([publicFile]), ConfigurationError)
    await assert.rejects(
      start([file, join(directory, 'nowhere.pem')]),
      /nowhere\.pem: it cannot be read \(ENOENT\)/,
    )
    await using both = await start([file, publicFile])
    assert.equal((await keysOf(both)).length, 2)
  })
})
