import http from 'node:http'
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import https from 'node:https'
import { urlToHttpOptions } from 'node:url'
import { ServerBusy } from './retry.ts'

// For these the minio client drops the response unread, which would keep its connection occupied.
const busyStatuses: readonly (number | undefined)[] = [408, 429, 499, 500, 502, 503, 504, 520]

type OnResponse = (response: IncomingMessage) => void

/**
 * What the minio client sends its requests through. A request fails when the server is silent for
 * `answerTimeout` milliseconds before it begins to answer, and with `ServerBusy` when it answers
 * that it cannot serve the request now.
 */
export function createTransport(
  protocol: 'http:' | 'https:',
  { answerTimeout }: { answerTimeout: number },
): Pick<typeof http, 'request'> {
  const { request: send } = protocol === 'https:' ? https : http

  function request(options: RequestOptions | string | URL, onResponse?: OnResponse): ClientRequest
  function request(url: string | URL, options: RequestOptions, onResponse?: OnResponse): ClientRequest
  function request(
    target: RequestOptions | string | URL,
    second?: RequestOptions | OnResponse,
    third?: OnResponse,
  ): ClientRequest {
    const options =
      typeof target === 'string' || target instanceof URL ? urlToHttpOptions(new URL(target)) : target
    const onResponse = typeof second === 'function' ? second : third
    const sent = send({ ...options, ...(typeof second === 'object' ? second : {}) })
    sent.setTimeout(answerTimeout, () => {
      sent.destroy(new Error(`The object store has not answered for ${answerTimeout} ms.`))
    })
    sent.once('response', (response) => {
      sent.setTimeout(0)
      if (busyStatuses.includes(response.statusCode)) {
        response.resume()
        sent.emit('error', new ServerBusy(`The object store answered ${String(response.statusCode)}.`))
      } else {
        onResponse?.(response)
      }
    })
    return sent
  }
  return { request }
}
