import { lookup as resolveName, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { Agent, buildConnector, fetch as undiciFetch, type Dispatcher } from 'undici'
import { isPermitted, type Allowance } from './address-policy.ts'

/** A call was not made, or not followed, because of where it leads. */
export class RefusedDestination extends Error {
  override name = 'RefusedDestination'
}

export type OutgoingOptions = {
  /** What may be called though it is not public. */
  readonly allowances: readonly Allowance[]
  /** Time for all of a call with its redirects, in milliseconds. */
  readonly timeoutMs?: number
  /** Bytes of an answer's body at the most; a longer one ends in an error. */
  readonly maxBodyBytes?: number
  /** How names are resolved; by default as the system does. */
  readonly resolve?: Resolve
}

/** Resolves a name to all of its addresses. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>

const defaultTimeoutMs = 10_000
const defaultMaxBodyBytes = 1024 ** 2
const maxHeaderBytes = 16 * 1024
const maxRedirects = 5
const redirectStatuses = [301, 302, 303, 307, 308]

/** Headers that are for one origin alone. */
const credentialHeaders = ['authorization', 'cookie', 'proxy-authorization']

/**
 * HTTP calls to addresses that users and documents name. The address that a name stands for is judged when
 * the connection is made, and that very address is connected to: a name that is resolved anew afterwards
 * changes nothing. Each redirect is judged like the first call.
 */
export class Outgoing implements AsyncDisposable {
  readonly #agent: Agent
  readonly #timeoutMs: number

  constructor(options: OutgoingOptions) {
    const { timeoutMs = defaultTimeoutMs, maxBodyBytes = defaultMaxBodyBytes } = options
    this.#timeoutMs = timeoutMs
    this.#agent = new Agent({
      connect: guardedConnector(options),
      maxResponseSize: maxBodyBytes,
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    })
  }

  /** For requests of undici that follow no redirects. */
  get dispatcher(): Dispatcher {
    return this.#agent
  }

  /**
   * Like `fetch`, following up to five redirects.
   * @throws RefusedDestination for an address that is not permitted, another scheme than HTTP and HTTPS,
   * credentials in the URL, a redirect from HTTPS to HTTP, and too many redirects
   */
  readonly fetch = async (input: string | URL, init: RequestInit = {}): Promise<Response> => {
    const deadline = AbortSignal.timeout(this.#timeoutMs)
    const signal = init.signal ? AbortSignal.any([init.signal, deadline]) : deadline
    let url = toUrl(input)
    let request: RequestInit = { ...init, headers: new Headers(init.headers) }
    for (let redirects = 0; ; redirects += 1) {
      const response = await this.#call(url, { ...request, signal, redirect: 'manual' })
      const location = response.headers.get('location')
      if (!redirectStatuses.includes(response.status) || location === null) return response
      await response.body?.cancel()
      if (redirects === maxRedirects) throw new RefusedDestination(`${url.origin} redirects too often.`)
      const next = toUrl(new URL(location, url))
      if (url.protocol === 'https:' && next.protocol !== 'https:') {
        throw new RefusedDestination(`${url.origin} redirects to ${next.origin}, without TLS.`)
      }
      request = redirected(request, response.status, url.origin === next.origin)
      url = next
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  async #call(url: URL, init: RequestInit): Promise<Response> {
    try {
      const options: unknown = { ...init, dispatcher: this.#agent }
      // The classes of undici's package and of Node.js's own undici are alike, and not the same.
      const response: unknown = await undiciFetch(url, options as Parameters<typeof undiciFetch>[1])
      return response as Response
    } catch (error) {
      if (error instanceof Error && error.cause instanceof RefusedDestination) throw error.cause
      throw error
    }
  }
}

/** @throws RefusedDestination */
function toUrl(input: string | URL): URL {
  const url = URL.parse(String(input))
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new RefusedDestination('Only URLs with the scheme http or https are called.')
  }
  if (url.username !== '' || url.password !== '') {
    throw new RefusedDestination(`A URL of ${url.host} has credentials inside; they belong into a header.`)
  }
  return url
}

/** The request that follows a redirect (Fetch standard, "HTTP-redirect fetch"). */
function redirected(request: RequestInit, status: number, isSameOrigin: boolean): RequestInit {
  const headers = new Headers(request.headers)
  if (!isSameOrigin) for (const name of credentialHeaders) headers.delete(name)
  const method = request.method?.toUpperCase() ?? 'GET'
  const becomesGet = (status === 303 && method !== 'HEAD') || (status < 303 && method === 'POST')
  if (!becomesGet) return { ...request, headers }
  for (const name of ['content-type', 'content-length', 'content-encoding']) headers.delete(name)
  return { ...request, headers, method: 'GET', body: null }
}

function guardedConnector({
  allowances,
  timeoutMs = defaultTimeoutMs,
  resolve = resolveBySystem,
}: OutgoingOptions): buildConnector.connector {
  return (options, callback) => {
    const host = options.hostname.replace(/^\[|\]$/g, '')
    const port = options.port === '' ? (options.protocol === 'https:' ? 443 : 80) : Number(options.port)
    const connect = async () => {
      const resolved = isIP(host) === 0 ? await resolve(host) : [{ address: host, family: isIP(host) }]
      const permitted = resolved.filter(({ address }) => isPermitted({ host, address, port }, allowances))
      if (permitted.length === 0) {
        throw new RefusedDestination(
          `${host}:${port} is no public address. An operator can permit it with OUTGOING_ALLOW.`,
        )
      }
      return permitted
    }
    connect().then(
      (permitted) => {
        buildConnector({ timeout: timeoutMs, lookup: answering(permitted) })(options, callback)
      },
      (error: unknown) => {
        callback(error instanceof Error ? error : new Error(String(error)), null)
      },
    )
  }
}

/** Answers what has been judged, whatever the name stands for meanwhile. */
function answering(addresses: readonly LookupAddress[]): LookupFunction {
  return (_host, { all }, callback) => {
    const [first] = addresses
    if (all === true || first === undefined) callback(null, [...addresses])
    else callback(null, first.address, first.family)
  }
}

function resolveBySystem(host: string): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    resolveName(host, { all: true }, (error, addresses) => {
      if (error === null) resolve(addresses)
      else reject(error)
    })
  })
}
