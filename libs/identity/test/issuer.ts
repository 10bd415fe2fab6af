import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type JWTHeaderParameters } from 'jose'

/** A key of an issuer. */
export type IssuerKey = Awaited<ReturnType<typeof makeKey>>

/** Makes a key that signs tokens, by an algorithm with public keys. */
export async function makeKey(kid: string, alg = 'RS256') {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
  return { kid, alg, privateKey, jwk, pem: alg === 'EdDSA' ? '' : await exportSPKI(publicKey) }
}

/** An OIDC issuer on loopback. */
export type Issuer = AsyncDisposable & {
  readonly url: string
  /** Paths that it was asked for. */
  readonly asked: string[]
  /** What it publishes, and may be changed. */
  keys: IssuerKey[]
  /** Answers in place of all that it would. */
  answer: RequestListener | undefined
  /** What is in its discovery document beside, or in place of, what belongs there. */
  discovery: Record<string, unknown>
}

/** Starts an issuer that publishes its keys as OpenID Connect Discovery 1.0 has it. */
export async function startIssuer(...keys: IssuerKey[]): Promise<Issuer> {
  const server = createServer((request, response) => {
    const { url = '' } = request
    issuer.asked.push(url)
    if (issuer.answer !== undefined) {
      issuer.answer(request, response)
      return
    }
    const content = {
      '/.well-known/openid-configuration': {
        issuer: issuer.url,
        jwks_uri: `${issuer.url}/keys`,
        ...issuer.discovery,
      },
      '/keys': { keys: issuer.keys.map(({ jwk }) => jwk) },
    }[url]
    response.writeHead(content === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(content ?? {}))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer: Issuer = {
    ...{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: [] },
    ...{ keys, answer: undefined, discovery: {} },
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return issuer
}

/** Now, in seconds, as tokens have it. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}

/** Signs claims: those of a token that lives for five minutes, and others beside or, undefined, without them. */
export function sign(
  { kid, alg, privateKey }: Pick<IssuerKey, 'kid' | 'alg' | 'privateKey'>,
  claims: Record<string, unknown>,
  header: Partial<JWTHeaderParameters> = {},
): Promise<string> {
  const usual = { aud: 'edgesmith', sub: 'repo:acme/stores', iat: nowSeconds(), exp: nowSeconds() + 300 }
  const all = Object.entries<unknown>({ ...usual, ...claims }).filter(([, value]) => value !== undefined)
  return new SignJWT(Object.fromEntries(all))
    .setProtectedHeader({ alg, kid, typ: 'JWT', ...header })
    .sign(privateKey)
}
