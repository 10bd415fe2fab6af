import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'
import { asOperator } from '../../../test/support/as-operator.ts'

export type Answer = { status: number; headers: IncomingHttpHeaders; body: string }

/** Sends one request as a tus client does. */
export async function tusRequest(
  method: string,
  url: string,
  headers: OutgoingHttpHeaders = {},
  body?: Buffer,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const sent = httpRequest(url, {
    method,
    agent: false,
    headers: {
      'tus-resumable': '1.0.0',
      ...asOperator,
      ...(body === undefined ? {} : { 'content-type': 'application/offset+octet-stream' }),
      'content-length': body?.length ?? 0,
      ...headers,
    },
  })
  sent.once('response', resolve).once('error', reject)
  sent.end(body)
  const response = await promise
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) }
}

/** Begins an upload; the answer is its URL. */
export async function beginUpload(
  gateway: string,
  length: number,
  headers: OutgoingHttpHeaders = {},
): Promise<string> {
  const answer = await tusRequest('POST', `${gateway}/v1/uploads/resumable`, {
    'upload-length': length,
    ...headers,
  })
  assert.equal(answer.status, 201, answer.body)
  return new URL(answer.headers.location ?? '', gateway).href
}

/** Asks where an upload goes on. */
export async function offsetOf(url: string): Promise<number> {
  const answer = await tusRequest('HEAD', url)
  assert.equal(answer.status, 200)
  return Number(answer.headers['upload-offset'])
}

export function append(
  url: string,
  offset: number,
  bytes: Buffer,
  headers: OutgoingHttpHeaders = {},
): Promise<Answer> {
  return tusRequest('PATCH', url, { 'upload-offset': offset, ...headers }, bytes)
}

/** Sends bytes and cuts the connection after some of them, or lets `interrupt` do so. */
export async function appendAndCut(
  url: string,
  offset: number,
  bytes: Buffer,
  cutAfter: number,
  interrupt?: () => Promise<void>,
): Promise<void> {
  const sent = httpRequest(url, {
    method: 'PATCH',
    agent: false,
    headers: {
      'tus-resumable': '1.0.0',
      ...asOperator,
      'content-type': 'application/offset+octet-stream',
      'content-length': bytes.length,
      'upload-offset': offset,
    },
  })
  sent.on('error', () => undefined)
  const closed = new Promise((resolve) => sent.once('close', resolve))
  const written = new Promise((resolve) => sent.write(bytes.subarray(0, cutAfter), resolve))
  await Promise.race([written, closed])
  await interrupt?.()
  sent.destroy()
  await closed
}
