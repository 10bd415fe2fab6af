import http from 'node:http'
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import { urlToHttpOptions } from 'node:url'
import { ServerBusy, ServerSilent } from './retry.ts'

// For these the minio client drops the response unread, which would keep its connection occupied.
const busyStatuses: readonly (number | undefined)[] = [408, 429, 499, 500, 502, 503, 504, 520]

type OnResponse = (response: IncomingMessage) => void

/** How long a server may be silent within an answer, all of which that came was read, in milliseconds. */
const bodyTimeout = 60_000

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
      sent.destroy(new ServerSilent(answerTimeout))
    })
    sent.once('response', (response) => {
      sent.setTimeout(0)
      response.setTimeout(bodyTimeout, () => {
        if (response.complete) return
        // Whoever reads slowly is not kept waiting by the server.
        if (response.readableLength > 0) response.socket.setTimeout(bodyTimeout)
        else response.destroy(new ServerSilent(bodyTimeout))
      })
      if (busyStatuses.includes(response.statusCode)) {
        void readCode(response).then((code) => {
          sent.emit('error', new ServerBusy({ status: response.statusCode, code }))
        })
      } else {
        onResponse?.(response)
      }
    })
    return sent
  }
  return { request }
}

/** The code of an error that the server answers; undefined where it gives none. */
async function readCode(response: IncomingMessage): Promise<string | undefined> {
  try {
    return /<Code>(\w+)<\/Code>/.exec(await text(response))?.[1]
  } catch {
    return undefined
  }
}
