import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { chown, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import {
  certificateDirectory,
  certifiedServices,
  makeServiceCertificates,
} from '@edgesmith/certificates/service-certificates'

const day = 24 * 60 * 60_000

describe('The certificates of an installation', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-certificates-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  const read = async (name: string) => new X509Certificate(await readFile(join(directory, name)))
  const modeOf = async (name: string) => (await stat(join(directory, name))).mode & 0o777

  it('name each service, are of one authority, and have keys that their owner alone can read', async () => {
    await makeServiceCertificates(directory, { lifetimeMs: day })
    assert.deepEqual(certifiedServices, ['gateway', 'validation', 'artifact'])
    const authority = await read('ca.pem')
    assert.ok(authority.ca)
    assert.equal(await modeOf('ca-key.pem'), 0o600)
    for (const service of certifiedServices) {
      assert.equal(certificateDirectory(directory, service), join(directory, service))
      const certificate = await read(`${service}/cert.pem`)
      assert.equal(certificate.subjectAltName, `URI:spiffe://edgesmith/${service}`)
      assert.ok(certificate.verify(authority.publicKey))
      assert.equal((await read(`${service}/ca.pem`)).fingerprint256, authority.fingerprint256)
      const left = certificate.validToDate.getTime() - Date.now()
      assert.ok(left <= day && left > day - 60_000, `${left} ms`)
      assert.equal(await modeOf(`${service}/key.pem`), 0o600)
      assert.equal(await modeOf(service), 0o700)
    }
  })

  it('are renewed with other keys, by the same authority, for the owners of the directories', async () => {
    await makeServiceCertificates(directory, { lifetimeMs: day })
    const [authority, before] = [await read('ca.pem'), await read('gateway/cert.pem')]
    await chown(join(directory, 'gateway'), 65_532, 65_532)
    await makeServiceCertificates(directory, { lifetimeMs: 2 * day })
    const renewed = await read('gateway/cert.pem')
    assert.equal((await read('ca.pem')).fingerprint256, authority.fingerprint256)
    assert.ok(renewed.verify(authority.publicKey))
    assert.notEqual(
      renewed.publicKey.export({ type: 'spki', format: 'pem' }),
      before.publicKey.export({ type: 'spki', format: 'pem' }),
    )
    assert.ok(renewed.validToDate > before.validToDate)
    const { uid, gid } = await stat(join(directory, 'gateway/key.pem'))
    assert.deepEqual([uid, gid], [65_532, 65_532])
    assert.equal((await stat(join(directory, 'artifact/key.pem'))).uid, process.getuid?.())
  })

  it('are not made by an authority that ends before them, or has lost its key', async () => {
    const tooLong = makeServiceCertificates(directory, { lifetimeMs: 4000 * day })
    await assert.rejects(tooLong, /ends at .*Make another/)
    await rm(join(directory, 'ca-key.pem'))
    const withoutKey = makeServiceCertificates(directory, { lifetimeMs: day })
    await assert.rejects(withoutKey, /lacks its ca-key\.pem/)
  })
})
