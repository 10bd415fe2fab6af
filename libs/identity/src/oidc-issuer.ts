import { ProblemError } from '@edgesmith/contract/problem'
import { unauthorized } from '@edgesmith/service/access'
import { createRemoteJWKSet, customFetch, errors, jwtVerify, type JWTPayload, type RemoteJWKSet } from 'jose'
import { isSecure, type OidcIssuerSettings } from './oidc-settings.ts'

/** How an issuer is asked for its keys: `fetch`, or what may be put in its place. */
export type Fetch = (
  url: string,
  options: { headers?: Headers; method: 'GET'; redirect: 'manual'; signal: AbortSignal },
) => Promise<Response>

export type IssuerTimes = {
  /** How long the keys of an issuer are believed, in milliseconds: one that it takes back works no longer. */
  readonly keysMs?: number
  /** How long after its keys were asked for an unknown one has them asked for again, in milliseconds. */
  readonly cooldownMs?: number
  /** How long an issuer that did not answer is left alone, in milliseconds. */
  readonly silenceMs?: number
}

const timeoutMs = 5000

/** Codes of faults in what the issuer answered, not in the token. */
const ofTheIssuer = [errors.JOSEError.code, errors.JWKSTimeout.code, errors.JWKSInvalid.code]

/** Verifies the tokens of an issuer by the keys that it publishes (RFC 7517, OpenID Connect Discovery 1.0). */
export class OidcIssuer {
  readonly settings: OidcIssuerSettings
  readonly #fetch: Fetch
  readonly #times: Required<IssuerTimes>
  #keys: Promise<RemoteJWKSet> | undefined
  #silentUntil = 0

  constructor(
    settings: OidcIssuerSettings,
    { fetch, keysMs = 600_000, cooldownMs = 30_000, silenceMs = 5000 }: IssuerTimes & { fetch: Fetch },
  ) {
    this.settings = settings
    this.#fetch = fetch
    this.#times = { keysMs, cooldownMs, silenceMs }
  }

  /**
   * The claims of a token that this issuer signed for this service.
   * @throws ProblemError `unauthorized` saying what is wrong with it; `upstream-unavailable` when the issuer's
   * keys cannot be had
   */
  async verify(token: string): Promise<JWTPayload & { sub: string; exp: number }> {
    const { issuer, audience, algorithms, clockToleranceSeconds } = this.settings
    const keys = await this.#openKeys()
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms,
        clockTolerance: clockToleranceSeconds,
        requiredClaims: ['sub', 'exp', 'aud', 'iss'],
      })
      const { sub = '', exp = 0 } = payload
      return { ...payload, sub, exp }
    } catch (error) {
      if (error instanceof ProblemError) throw error
      if (error instanceof errors.JOSEError && ofTheIssuer.includes(error.code))
        throw unavailable(issuer, error)
      if (error instanceof errors.JOSEError)
        throw unauthorized(`The token is not accepted: ${error.message}.`)
      throw error
    }
  }

  #openKeys(): Promise<RemoteJWKSet> {
    this.#keys ??= this.#findKeys().catch((error: unknown) => {
      // Found again by the next token.
      this.#keys = undefined
      throw error
    })
    return this.#keys
  }

  async #findKeys(): Promise<RemoteJWKSet> {
    const uri = this.settings.jwksUri ?? (await this.#discover())
    const { keysMs, cooldownMs } = this.#times
    return createRemoteJWKSet(new URL(uri), {
      cacheMaxAge: keysMs,
      cooldownDuration: cooldownMs,
      timeoutDuration: timeoutMs,
      [customFetch]: (url, options) => this.#ask(url, options),
    })
  }

  async #discover(): Promise<string> {
    const { issuer } = this.settings
    const response = await this.#ask(
      `${issuer.replace(/(?<!\/)\/+$/, '')}/.well-known/openid-configuration`,
      {
        method: 'GET',
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
      },
    )
    const found = (await response.json().catch((cause: unknown) => {
      throw unavailable(issuer, cause)
    })) as { issuer?: unknown; jwks_uri?: unknown } | null
    if (found?.issuer !== issuer || typeof found.jwks_uri !== 'string' || !isSecure(found.jwks_uri)) {
      throw unavailable(issuer, new Error('Its discovery document is not that of this issuer.'))
    }
    return found.jwks_uri
  }

  /** Asks the issuer, but not again shortly after it did not answer. */
  async #ask(url: string, options: Parameters<Fetch>[1]): Promise<Response> {
    const { issuer } = this.settings
    if (Date.now() < this.#silentUntil) throw unavailable(issuer, new Error('It did not answer lately.'))
    try {
      const response = await this.#fetch(url, options)
      if (response.status !== 200) throw new Error(`It answered ${response.status}.`)
      return response
    } catch (error) {
      this.#silentUntil = Date.now() + this.#times.silenceMs
      throw unavailable(issuer, error)
    }
  }
}

function unavailable(issuer: string, cause: unknown): ProblemError {
  return new ProblemError('upstream-unavailable', `The keys of the issuer ${issuer} cannot be had now.`, {
    cause,
    headers: { 'retry-after': '5' },
  })
}
