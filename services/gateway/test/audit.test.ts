import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { publishArtifact } from '@edgesmith/artifacts/artifacts'
import { appendRecord } from '@edgesmith/audit/audit-log'
import { compactRecords } from '@edgesmith/audit/compaction'
import { readObject } from '@edgesmith/audit/chain'
import type { AuditPage, AuditRecord } from '@edgesmith/contract/audit'
import type { DownloadUrl } from '@edgesmith/contract/artifact'
import type { Problem } from '@edgesmith/contract/problem'
import type { Static } from 'typebox'
import { fetch as asOperator } from '../../../test/support/as-operator.ts'
import { mostLooked } from '../src/routes/audit.ts'
import { startHarness, type Harness } from './harness.ts'

type Operation = { operationId?: string; parameters?: { name: string; in: string; required?: boolean }[] }
type Document = { paths: Record<string, Record<string, Operation>> }

const documentFile = new URL('../../../openapi/openapi.json', import.meta.url)
const { paths } = JSON.parse(await readFile(documentFile, 'utf8')) as Document
const operations = Object.entries(paths).flatMap(([path, item]) =>
  Object.entries(item).flatMap(([method, { operationId }]) =>
    operationId === undefined ? [] : [{ method: method.toUpperCase(), path, operationId }],
  ),
)

/** Operations that change nothing and hand out what an ISO holds, or the record itself. */
const downloads = ['downloadArtifact', 'downloadFleetArchive', 'listFleetDownloads', 'exportAuditRecords']
const changes = ['POST', 'PUT', 'PATCH', 'DELETE']
const isAudited = ({ method, operationId }: (typeof operations)[number]) =>
  changes.includes(method) || downloads.includes(operationId)

describe('The audit record of the API', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness[Symbol.asyncDispose]())

  async function records(of = harness): Promise<AuditRecord[]> {
    const found: AuditRecord[] = []
    for await (const { key } of of.stores.whole.list('audit/')) {
      found.push(JSON.parse((await readObject(of.stores.whole, key))?.toString() ?? '') as AuditRecord)
    }
    return found.sort((a, b) => (a.id < b.id ? -1 : 1))
  }
  /** What was recorded while something was done. */
  async function during(act: () => Promise<unknown>): Promise<AuditRecord[]> {
    const known = new Set((await records()).map(({ id }) => id))
    await act()
    return (await records()).filter(({ id }) => !known.has(id))
  }
  /** Asks for an operation with identifiers of nothing, and no body that it can use. */
  function ask({ method, path }: { method: string; path: string }): Promise<Response> {
    const url = path.replaceAll(/\{(\w+)\}/g, (_all, name) => (name === 'name' ? 'nothing' : randomUUID()))
    const body = changes.includes(method) && method !== 'DELETE' ? '{}' : undefined
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    return asOperator(`${harness.url}${url}`, { method, headers, ...(body === undefined ? {} : { body }) })
  }

  for (const operation of operations.filter(isAudited)) {
    it(`has one record of each ${operation.operationId}`, async () => {
      let response: Response | undefined
      const [record, ...others] = await during(async () => {
        response = await ask(operation)
        await response.arrayBuffer()
      })
      assert.deepEqual(others, [])
      assert.equal(record?.action, operation.operationId)
      assert.equal(record.outcome.status, response?.status)
      assert.equal(record.client, '127.0.0.1')
      if (operation.path.startsWith('/v1/downloads')) return
      assert.deepEqual(record.principal?.role, 'operator')
      assert.deepEqual([record.tenant, record.project], ['default', 'default'])
    })
  }

  it('has no record of operations that only tell', async () => {
    const others = operations.filter(
      (operation) => !isAudited(operation) && ['GET', 'HEAD'].includes(operation.method),
    )
    assert.ok(others.length > 20)
    const telling = others.filter(
      ({ operationId }) => !['streamBuildEvents', 'describeDownload'].includes(operationId),
    )
    const found = await during(async () => {
      for (const operation of telling) await (await ask(operation)).arrayBuffer()
    })
    assert.deepEqual(found, [])
  })

  it('tells who made what, and the identifier of what was made', async () => {
    const form = new FormData()
    form.set('file', new Blob(['some bytes']), 'notes.txt')
    let id = ''
    const [record] = await during(async () => {
      const response = await asOperator(`${harness.url}/v1/uploads`, { method: 'POST', body: form })
      assert.equal(response.status, 201)
      id = ((await response.json()) as { id: string }).id
    })
    assert.equal(record?.object.type, 'uploads')
    assert.equal(decodeURIComponent(record.object.id ?? ''), id)
    assert.deepEqual(record.principal, {
      subject: 'key:0123456789abcdef',
      name: record.principal?.name,
      role: 'operator',
    })
  })

  it('tells of a download by signed URL: whose, by which grant, from where, and what', async () => {
    const source = Readable.from([Buffer.alloc(1000, 7)])
    const { id } = await publishArtifact(harness.store, { buildId: randomUUID(), name: 'a.iso', source })
    const [made] = await during(async () => {
      const response = await asOperator(`${harness.url}/v1/artifacts/${id}/download-url`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"maxDownloads":1}',
      })
      const { url, id: grant } = (await response.json()) as DownloadUrl
      const found = await during(async () => {
        const part = await fetch(url, { headers: { range: 'bytes=100-299' } })
        assert.equal((await part.arrayBuffer()).byteLength, 200)
        assert.equal((await fetch(url)).status, 403)
        assert.equal((await fetch(url.replace(/expires=\d/, 'expires=9'))).status, 403)
      })
      const common = { action: 'downloadArtifact', client: '127.0.0.1' }
      assert.partialDeepStrictEqual(found, [
        {
          ...common,
          ...{ tenant: 'default', project: 'default', outcome: { status: 206 } },
          object: { type: 'downloads', id, part: 'a.iso' },
          download: { grant, range: 'bytes=100-299', bytes: 200 },
        },
        {
          ...common,
          ...{ tenant: 'default', outcome: { status: 403, problem: 'used-up-signature' } },
          download: { grant, bytes: 0 },
        },
        { ...common, outcome: { status: 403, problem: 'invalid-signature' } },
      ])
      assert.equal(found[2]?.tenant, undefined)
    })
    assert.deepEqual([made?.action, made?.object.id], ['createDownloadUrl', id])
  })

  it('tells of requests without valid credentials, up to a limit, with how many were left out', async () => {
    const found = await during(async () => {
      for (let index = 0; index < 60; index += 1) {
        const headers = { authorization: 'Bearer canary-of-a-token' }
        const response = await fetch(`${harness.url}/v1/builds`, { headers })
        assert.equal(response.status, 401)
        await response.arrayBuffer()
      }
    })
    assert.ok(found.length > 0 && found.length <= 30, `${found.length} records`)
    assert.partialDeepStrictEqual(found[0], {
      action: 'listBuilds',
      outcome: { status: 401, problem: 'unauthorized' },
    })
    assert.equal(found[0]?.tenant, undefined)
  })

  it('tells of downloads by URLs that nobody signed up to that limit, too', async () => {
    const found = await during(async () => {
      for (let index = 0; index < 60; index += 1) {
        const url = `${harness.url}/v1/downloads/${index % 2 === 0 ? 'x' : randomUUID()}/a.iso?signature=x`
        const response = await fetch(url, { headers: { range: 'bytes=0-1' } })
        assert.ok([400, 403].includes(response.status))
        await response.arrayBuffer()
      }
    })
    assert.ok(found.length <= 30, `${found.length} records`)
  })

  it('has no secret', async () => {
    const canary = 'canary-4f1b-of-a-secret'
    const response = await asOperator(`${harness.url}/v1/secrets/canary`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'opaque', value: canary }),
    })
    assert.equal(response.status, 201, await response.text())
    const text = JSON.stringify(await records())
    assert.match(text, /"putSecret"/)
    assert.doesNotMatch(text, /canary-|signature=|0123456789abcdef0123456789abcdef/)
  })

  it('is read by the API in pages, by filters, and exported, chained or not', async () => {
    const { whole } = harness.stores
    const event = (requestId: string) => ({
      ...{ tenant: 'default', project: 'default', action: 'old', client: '203.0.113.7', requestId },
      ...{ object: { type: 'builds', id: requestId }, outcome: { status: 202 } },
    })
    for (let day = 1; day <= 5; day += 1) {
      for (let index = 0; index < 10; index += 1) {
        await appendRecord(whole, event(`${day}-${index}`), new Date(Date.UTC(2026, 0, day, index)))
      }
    }
    const query = 'from=2026-01-02T00:00:00Z&to=2026-01-04T23:59:59Z&limit=7'
    const readAll = async () => {
      const ids: string[] = []
      let cursor: string | undefined
      do {
        const more: string = cursor === undefined ? '' : `&cursor=${cursor}`
        const response = await asOperator(`${harness.url}/v1/audit?${query}${more}`)
        assert.equal(response.status, 200)
        const page = (await response.json()) as Static<typeof AuditPage>
        assert.ok(page.items.length <= 7)
        ids.push(...page.items.map(({ requestId }) => requestId))
        cursor = page.nextCursor
      } while (cursor !== undefined)
      return ids
    }
    const expected = [2, 3, 4].flatMap((day) => Array.from({ length: 10 }, (_, index) => `${day}-${index}`))
    assert.deepEqual(await readAll(), expected)
    assert.equal(await compactRecords(whole, 'default'), 50)
    assert.deepEqual(await readAll(), expected)

    const filtered = await asOperator(`${harness.url}/v1/audit?${query}&action=old&object=3-4`)
    const { items } = (await filtered.json()) as Static<typeof AuditPage>
    assert.deepEqual(
      items.map(({ requestId }) => requestId),
      ['3-4'],
    )
    const none = await asOperator(`${harness.url}/v1/audit?${query}&subject=key:none`)
    assert.deepEqual(await none.json(), { items: [] })

    const exported = await asOperator(
      `${harness.url}/v1/audit/export?from=2026-01-01T00:00:00Z&to=2026-01-06T00:00:00Z`,
    )
    assert.equal(exported.headers.get('content-type'), 'application/x-ndjson')
    const lines = (await exported.text()).trimEnd().split('\n')
    assert.equal(lines.length, 50)
    assert.equal((JSON.parse(lines[49] ?? '') as AuditRecord).requestId, '5-9')

    const env = { ...process.env, ...harness.environment }
    const command = join(import.meta.dirname, '../../../deploy/verify-audit.ts')
    const verify = (...options: string[]) =>
      promisify(execFile)(process.execPath, [command, ...options], { env })
    assert.match((await verify()).stdout, /^default: 50 records in 5 links, head [0-9a-f]{64}\n[^]*ok\n$/m)
    await assert.rejects(verify('--tenant', 'default', '--head', '0'.repeat(64)), /cut off or replaced/)
  })

  it('looks at so many records for a page, and tells where to go on', async () => {
    const { whole } = harness.stores
    const first = Date.UTC(2026, 1, 1)
    const appended = Array.from({ length: mostLooked + 1 }, (_, index) =>
      appendRecord(
        whole,
        {
          ...{ tenant: 'default', project: 'default', client: '203.0.113.7', requestId: `${index}` },
          action: index === mostLooked ? 'rare' : 'common',
          ...{ object: { type: 'builds' }, outcome: { status: 202 } },
        },
        new Date(first + index),
      ),
    )
    await Promise.all(appended)
    const query = 'from=2026-02-01T00:00:00Z&to=2026-02-02T00:00:00Z&action=rare'
    const page = async (more = '') => {
      const response = await asOperator(`${harness.url}/v1/audit?${query}${more}`)
      return (await response.json()) as Static<typeof AuditPage>
    }
    const { items, nextCursor } = await page()
    assert.deepEqual(items, [])
    assert.ok(nextCursor !== undefined)
    const next = await page(`&cursor=${nextCursor}`)
    assert.deepEqual(
      next.items.map(({ requestId }) => requestId),
      [`${mostLooked}`],
    )
    assert.equal(next.nextCursor, undefined)
  })

  it('shows those without credentials to the operator, and refuses a time that is too long', async () => {
    const ofNobody = await asOperator(`${harness.url}/v1/audit?tenant=_`)
    const { items } = (await ofNobody.json()) as Static<typeof AuditPage>
    assert.ok(items.some(({ outcome }) => outcome.status === 401))
    const long = await asOperator(`${harness.url}/v1/audit?from=2020-01-01T00:00:00Z`)
    assert.equal(long.status, 400)
  })
})

describe('A store whose audit record cannot be written', () => {
  it('has changes and downloads refused, and nothing else', async () => {
    await using harness = await startHarness()
    const source = Readable.from([Buffer.alloc(1000, 7)])
    const { id } = await publishArtifact(harness.store, { buildId: randomUUID(), name: 'a.iso', source })
    const makeUrl = () =>
      asOperator(`${harness.url}/v1/artifacts/${id}/download-url`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      })
    const { url } = (await (await makeUrl()).json()) as DownloadUrl
    assert.equal((await fetch(url)).status, 200)
    // A file in place of the directory.
    const place = join(harness.environment['OBJECT_DIRECTORY'] ?? '', '.objects/audit')
    await rm(place, { recursive: true })
    await writeFile(place, '')
    for (const response of [
      await makeUrl(),
      await fetch(url),
      await asOperator(`${harness.url}/v1/audit/export`),
      await asOperator(`${harness.url}/v1/builds/${randomUUID()}/cancel`, { method: 'POST' }),
    ]) {
      assert.equal(response.status, 503)
      assert.equal(response.headers.get('retry-after'), '5')
      assert.equal(((await response.json()) as Problem).type, 'urn:edgesmith:problem:audit-unavailable')
      assert.equal(response.headers.get('location'), null)
    }
    assert.equal((await fetch(`${harness.url}/v1/builds`)).status, 401)
    assert.equal((await asOperator(`${harness.url}/v1/builds`)).status, 200)
    assert.equal((await asOperator(`${harness.url}/v1/artifacts/${id}`)).status, 200)
  })
})
