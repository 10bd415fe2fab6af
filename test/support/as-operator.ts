import supertest from 'supertest'

/** The operator's key of the services that tests start: their `BOOTSTRAP_API_KEY`. */
export const operatorKey = `esk_0123456789abcdef_${'0123456789abcdef'.repeat(4)}`

/** The header of the key. */
export const asOperator = { authorization: `Bearer ${operatorKey}` }

/**
 * `fetch` with headers beside those given, by the `dispatcher` of undici's in `connection` where there is one; a signed
 * URL is its own credential, and gets no headers.
 */
export function fetchWith(
  headers: Readonly<Record<string, string>>,
  connection: object = {},
): typeof globalThis.fetch {
  return (input, init) => {
    const request = new Request(input, init)
    for (const [name, value] of Object.entries(
      new URL(request.url).pathname.startsWith('/v1/downloads/') ? {} : headers,
    )) {
      if (!request.headers.has(name)) request.headers.set(name, value)
    }
    return globalThis.fetch(request, connection)
  }
}

/** `fetch` with the operator's key. */
export const fetch = fetchWith(asOperator)

/** `supertest` with the operator's key. */
export function request(url: string): ReturnType<typeof supertest.agent> {
  return supertest.agent(url).set(asOperator)
}
