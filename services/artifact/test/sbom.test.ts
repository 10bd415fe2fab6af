import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { dataKey, publishArtifact, recordImage } from '@edgesmith/artifacts/artifacts'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { Problem } from '@edgesmith/contract/problem'
import type { Sbom } from '@edgesmith/contract/sbom'
import { objectManifest } from '@edgesmith/manifest/manifest'
import type { CalledService } from '@edgesmith/service/lifecycle'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Readable } from 'node:stream'
import { v7 as uuidv7 } from 'uuid'
import { fetch } from '../../../test/support/as-gateway.ts'
import { ownStore } from '../../../test/support/projects.ts'
import { fromSetUp } from '../../../test/support/environment.ts'
import { tlsDirectoryOf } from '../../../test/support/service-certificates.ts'
import { startArtifact } from '../src/service.ts'
import { buildId, storeImage } from './images.ts'

const execute = promisify(execFile)

const entry = (name: string, version: string) =>
  [`Package: ${name}`, 'Status: install ok installed', 'Architecture: amd64', `Version: ${version}`, ''].join(
    '\n',
  )
const status = [entry('bash', '5.2.15-2+b8'), entry('openssl', '3.0.19-1~deb12u2')].join('\n')

describe("The SBOM of an image's root file system", () => {
  let directory: string
  let whole: ObjectStore
  let store: ObjectStore
  let service: CalledService
  let iso: Artifact
  let squashfs: Buffer

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-sbom-test-'))
    whole = await openDirectoryStore(join(directory, 'objects'))
    store = ownStore(whole)
    service = await start(fromSetUp('EDGESMITH_TEST_SYFT'))
    const image = await makeImage('debian', async (root) => {
      await mkdir(join(root, 'var/lib/dpkg'), { recursive: true })
      await writeFile(join(root, 'var/lib/dpkg/status'), status)
      await mkdir(join(root, 'etc'))
      await mkdir(join(root, 'usr/lib'), { recursive: true })
      await writeFile(join(root, 'usr/lib/os-release'), 'ID=debian\nVERSION_ID="12"\n')
      await symlink('../usr/lib/os-release', join(root, 'etc/os-release'))
    })
    squashfs = await readFile(join(directory, 'debian/tree/rootfs.squashfs'))
    iso = await storeImage(store, image)
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await rm(directory, { recursive: true })
  })

  function start(sbomTool: string): Promise<CalledService> {
    return startArtifact(
      {
        ...{ logLevel: 'silent', host: '127.0.0.1', port: 0 },
        internal: { host: '127.0.0.1', port: 0 },
        serviceTlsDirectory: tlsDirectoryOf('artifact'),
        ...{ publicUrl: undefined, trustedProxies: [], signingKeys: ['k'.repeat(32)] },
        objectStore: { kind: 'directory', directory: '' },
        sbomTool,
      },
      { store: whole },
    )
  }

  /** An ISO with a root file system of what `fill` leaves. */
  async function makeImage(
    name: string,
    fill: (root: string) => Promise<void>,
    compression = 'zstd',
  ): Promise<Buffer> {
    const own = join(directory, name)
    await mkdir(join(own, 'root'), { recursive: true })
    await mkdir(join(own, 'tree'))
    await fill(join(own, 'root'))
    const file = join(own, 'tree/rootfs.squashfs')
    await execute('mksquashfs', [join(own, 'root'), file, '-comp', compression, '-quiet', '-no-progress'])
    await execute('xorriso', ['-as', 'mkisofs', '-o', join(own, 'image.iso'), '-R', join(own, 'tree')])
    return readFile(join(own, 'image.iso'))
  }

  const ask = (id: string, { internalUrl } = service) => fetch(`${internalUrl}/v1/artifacts/${id}/sbom`)
  async function problemOf(response: Response): Promise<string> {
    assert.equal(response.headers.get('content-type')?.split(';')[0], 'application/problem+json')
    const { type, detail = '' } = (await response.json()) as Problem
    return `${type.replace('urn:edgesmith:problem:', '')}: ${detail}`
  }

  it('lists the packages with their versions and distribution, and names the bytes that it is about', async () => {
    const response = await ask(iso.id)
    assert.equal(response.status, 200, await response.clone().text())
    assert.match(response.headers.get('content-type') ?? '', /^application\/vnd\.cyclonedx\+json/)
    const sbom = (await response.json()) as Sbom
    assert.equal(sbom.specVersion, '1.6')
    const purls = sbom.components.flatMap(({ purl }) => purl ?? [])
    assert.deepEqual(purls.sort(), [
      'pkg:deb/debian/bash@5.2.15-2%2Bb8?arch=amd64&distro=debian-12',
      'pkg:deb/debian/openssl@3.0.19-1~deb12u2?arch=amd64&distro=debian-12',
    ])
    assert.ok(sbom.components.some(({ type, name }) => type === 'operating-system' && name === 'debian'))
    const sha256 = createHash('sha256').update(squashfs).digest('hex')
    assert.deepEqual(sbom.metadata['component'], {
      'bom-ref': `sha256:${sha256}`,
      type: 'file',
      name: 'rootfs.squashfs',
      hashes: [{ alg: 'SHA-256', content: sha256 }],
    })
  })

  it('has every package that dpkg has in a Debian root file system', async () => {
    const image = await makeImage('real', async (root) => {
      await rm(root, { recursive: true })
      const excluded = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*']
      await execute('mmdebstrap', [
        ...['--quiet', '--variant=minbase', '--include=openssl,jq', '--dpkgopt=force-unsafe-io'],
        ...excluded.map((path) => `--dpkgopt=path-exclude=${path}`),
        ...['bookworm', root],
      ])
    })
    const { stdout } = await execute('dpkg-query', [
      `--admindir=${join(directory, 'real/root/var/lib/dpkg')}`,
      ...['--show', '--showformat', '${Package} ${Version}\n'],
    ])
    const installed = stdout.trim().split('\n')
    assert.ok(installed.length > 60, `${installed.length} packages`)
    const { id } = await storeImage(store, image)
    const { components } = (await (await ask(id)).json()) as Sbom
    const listed = components.flatMap(({ purl, name, version = '' }) =>
      purl?.startsWith('pkg:deb/debian/') === true ? [`${name} ${version}`] : [],
    )
    assert.deepEqual(listed.sort(), installed.sort())
    for (const name of ['bash', 'libc6', 'openssl', 'jq']) {
      assert.ok(
        listed.some((item) => item.startsWith(`${name} `)),
        name,
      )
    }
  })

  it('is made once for all images over the same root file system, and kept beside it', async () => {
    const first = await (await ask(iso.id)).text()
    const other = await recordImage(store, {
      ...{ id: uuidv7(), buildId, name: 'other.iso' },
      manifest: objectManifest(dataKey(iso.id), iso.size),
    })
    // It is not asked again: there is none.
    await using toolless = await start(join(directory, 'no-syft'))
    assert.equal(await (await ask(other.id, toolless)).text(), first)
    const kept = await Array.fromAsync(store.list(`artifacts/${iso.id}/`), ({ key }) => key.split('/').at(-1))
    assert.equal(kept.filter((name) => name?.startsWith('sbom-')).length, 1)
  })

  it('is made once for all who ask at once', async () => {
    const image = await readFile(join(directory, 'debian/image.iso'))
    // What this one answers differs from call to call.
    const tool = join(directory, 'changing-syft')
    const document =
      '{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{},"components":[{"type":"library","name":"%s"}]}'
    await writeFile(tool, `#!/bin/sh\nprintf '${document}' "$$-$(date +%N)"\n`, { mode: 0o755 })
    await using changing = await start(tool)
    const [one, two] = [await storeImage(store, image), await storeImage(store, image)]
    const askAll = [one, one, one, two].map(async ({ id }) => (await ask(id, changing)).text())
    const [first = '', second, third, other] = await Promise.all(askAll)
    assert.match(first, /"library"/)
    assert.deepEqual([second, third], [first, first])
    assert.notEqual(other, first)
  })

  it('is the same when it is made again', async () => {
    const again = await storeImage(store, await readFile(join(directory, 'debian/image.iso')))
    assert.equal(await (await ask(again.id)).text(), await (await ask(iso.id)).text())
  })

  it('tells what to do when there is no syft, or it fails', async () => {
    const image = await readFile(join(directory, 'debian/image.iso'))
    for (const tool of [join(directory, 'no-syft'), '/bin/false', '/bin/true', '/bin/cat']) {
      await using broken = await start(tool)
      const { id } = await storeImage(store, image)
      const response = await ask(id, broken)
      assert.equal(response.status, 409)
      assert.match(await problemOf(response), /^sbom-unavailable: .*deploy\/syft\/install\.sh/)
    }
  })

  it('is refused for images without packages, without a squashfs, and for what is no image', async () => {
    const bare = await storeImage(
      store,
      await makeImage('bare', (root) => writeFile(join(root, 'data'), randomBytes(1000))),
    )
    assert.match(
      await problemOf(await ask(bare.id)),
      /^sbom-unavailable: It has no database of dpkg, rpm or apk/,
    )
    const lz4 = await storeImage(
      store,
      await makeImage('lz4', (root) => writeFile(join(root, 'data'), 'x'.repeat(100_000)), 'lz4'),
    )
    assert.match(await problemOf(await ask(lz4.id)), /^not-an-iso: .*lz4, which is not read here/)
    const empty = join(directory, 'empty')
    await mkdir(empty)
    await writeFile(join(empty, 'file'), 'x')
    await execute('xorriso', ['-as', 'mkisofs', '-o', join(directory, 'empty.iso'), '-R', empty])
    const none = await storeImage(store, await readFile(join(directory, 'empty.iso')))
    assert.match(await problemOf(await ask(none.id)), /^sbom-unavailable: It has no squashfs/)
    const text = await publishArtifact(store, { buildId, name: 'notes.txt', source: Readable.from(['x']) })
    assert.match(await problemOf(await ask(text.id)), /^not-an-iso/)
    assert.match(await problemOf(await ask(uuidv7())), /^artifact-not-found/)
  })

  it('leaves nothing behind in the file system, and follows no link out of the image', async () => {
    const image = await makeImage('links', async (root) => {
      await mkdir(join(root, 'var/lib/dpkg'), { recursive: true })
      await symlink('../../../../../../../../../../../var/lib/dpkg/status', join(root, 'var/lib/dpkg/status'))
      await symlink('/etc/passwd', join(root, 'os-release'))
    })
    const { id } = await storeImage(store, image)
    assert.match(await problemOf(await ask(id)), /^sbom-unavailable: It has no database/)
    const left = (await readdir(tmpdir())).filter((name) => /^edgesmith-sbom-(?!test-)/.test(name))
    assert.deepEqual(left, [])
  })
})
