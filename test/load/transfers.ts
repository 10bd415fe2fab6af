import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Random } from '../faults/random.ts'
import type { Sample } from './load-tenant.ts'
import { formOf, type MeasuredHttp } from './measured-http.ts'

const KiB = 1024
const MiB = 1024 ** 2

/** Bytes that uploads are cut from: they cannot be compressed, and cost nothing to make. */
export class Contents {
  readonly #pool: Buffer
  #made = 0

  constructor(random: Random) {
    this.#pool = random.bytes(8 * MiB)
  }

  /** A content that no other upload has. */
  next(random: Random): Buffer {
    this.#made += 1
    const size = random.between(64 * KiB, random.next() < 0.2 ? 6 * MiB : MiB)
    const from = random.between(0, this.#pool.length - size)
    return Buffer.concat([Buffer.from(`content ${this.#made}\n`), this.#pool.subarray(from, from + size)])
  }
}

export type Session = {
  readonly http: MeasuredHttp
  /** Of the gateway. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

/** Sends a file in one request, as the body itself or in a form; answers its content id. */
export async function uploadAtOnce(
  { http, url, headers }: Session,
  content: Buffer,
  random: Random,
): Promise<string> {
  const digest = createHash('sha256').update(content).digest()
  const form = random.next() < 0.4 ? formOf({ file: { fileName: 'content.bin', content } }) : undefined
  const answer = await http.call({
    operation: 'send upload',
    method: 'POST',
    url: `${url}/v1/uploads`,
    headers: {
      ...headers,
      'content-type': form?.contentType ?? 'application/octet-stream',
      ...(form === undefined ? { 'repr-digest': `sha-256=:${digest.toString('base64')}:` } : {}),
    },
    body: form?.body ?? content,
  })
  const { id } = JSON.parse(answer.body.toString()) as { id: string }
  assert.equal(id, `sha256:${digest.toString('hex')}`)
  return id
}

/** Sends a file by the tus protocol, in two parts; where the second begins, the service is asked. */
export async function uploadResumably(
  { http, url, headers }: Session,
  content: Buffer,
  random: Random,
): Promise<string> {
  const tus = { ...headers, 'tus-resumable': '1.0.0' }
  const created = await http.call({
    operation: 'create resumable upload',
    method: 'POST',
    url: `${url}/v1/uploads/resumable`,
    headers: { ...tus, 'upload-length': String(content.length) },
  })
  const place = new URL(String(created.headers['location']), url).href
  const send = (offset: number, bytes: Buffer) =>
    http.call({
      operation: 'send part',
      method: 'PATCH',
      url: place,
      headers: {
        ...tus,
        'upload-offset': String(offset),
        'content-type': 'application/offset+octet-stream',
      },
      body: bytes,
    })
  const cut = random.between(1, content.length - 1)
  await send(0, content.subarray(0, cut))
  const told = await http.call({ operation: 'ask for offset', method: 'HEAD', url: place, headers: tus })
  assert.equal(Number(told.headers['upload-offset']), cut)
  const done = await send(cut, content.subarray(cut))
  const id = String(done.headers['upload-content-id'])
  assert.equal(id, `sha256:${sha256Of(content)}`)
  return id
}

/** Downloads an ISO, or ranges of it, and compares every byte as it comes; answers how many there were. */
export async function downloadSample(
  http: MeasuredHttp,
  { url, bytes }: Sample,
  random: Random,
): Promise<number> {
  const kind = random.next()
  if (kind < 0.15) return compare(http, { url, expected: bytes, status: 200 })
  const from = random.between(0, bytes.length - 1)
  const to = Math.min(bytes.length - 1, from + random.between(0, MiB))
  if (kind < 0.85) {
    const expected = bytes.subarray(from, to + 1)
    return compare(http, { url, expected, status: 206, range: `${from}-${to}` })
  }
  return compareParts(http, { url, bytes, from, to })
}

type Comparison = {
  readonly url: string
  readonly expected: Buffer
  readonly status: number
  readonly range?: string
}

async function compare(http: MeasuredHttp, { url, expected, status, range }: Comparison): Promise<number> {
  const { response, begun } = await http.open({
    operation: 'download',
    url,
    ...(range === undefined ? {} : { headers: { range: `bytes=${range}` } }),
  })
  let at = 0
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    assert.ok(chunk.equals(expected.subarray(at, at + chunk.length)), `other bytes than recorded at ${at}`)
    at += chunk.length
  }
  http.measured('download', begun)
  assert.deepEqual([response.statusCode, at], [status, expected.length])
  return at
}

/** Asks for two ranges in one request, which come as parts of one answer (RFC 9110, section 14.6). */
async function compareParts(
  http: MeasuredHttp,
  { url, bytes, from, to }: { url: string; bytes: Buffer; from: number; to: number },
): Promise<number> {
  const last = 1000
  const { status, headers, body } = await http.call({
    operation: 'download',
    url,
    headers: { range: `bytes=${from}-${to},-${last}` },
  })
  assert.equal(status, 206)
  // Ranges that adjoin or overlap come as one.
  if (to >= bytes.length - last - 1) return body.length
  assert.match(String(headers['content-type']), /^multipart\/byteranges/)
  let at = 0
  for (const expected of [bytes.subarray(from, to + 1), bytes.subarray(-last)]) {
    // A part begins behind its head.
    const begin = body.indexOf('\r\n\r\n', at) + 4
    at = begin + expected.length
    assert.ok(body.subarray(begin, at).equals(expected), `other bytes than recorded in a part from ${from}`)
  }
  return body.length
}

export function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
