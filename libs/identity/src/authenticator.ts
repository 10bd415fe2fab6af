import type { IncomingHttpHeaders } from 'node:http'
import { scopesOf, type Principal, type Role, type Scope } from '@edgesmith/contract/access'
import { ProblemError } from '@edgesmith/contract/problem'
import { defaultProject } from '@edgesmith/contract/project'
import { bearerToken, unauthorized } from '@edgesmith/service/access'
import { decodeJwt } from 'jose'
import { accepts, isUsable, type ApiKeys } from './api-keys.ts'
import { findRule } from './claim-rules.ts'
import { looksLikeKey, parseKey } from './key-text.ts'
import type { OidcIssuer } from './oidc-issuer.ts'
import { projectNotFound, type Tenants } from './tenants.ts'

/** Header that names the project in which a request acts, for credentials of several. */
export const projectHeader = 'edgesmith-project'

/** Whom credentials are of, before it is said in which project they are used. */
type Identity = {
  readonly subject: string
  readonly name: string
  readonly tenant: string
  readonly project?: string | undefined
  readonly role: Role
  readonly scopes?: readonly Scope[] | undefined
  readonly expiresAt?: string | undefined
}

/** Tells who makes a request, by its API key or by the token of an OIDC issuer. */
export class Authenticator {
  readonly #keys: ApiKeys
  readonly #tenants: Tenants
  readonly #issuers: ReadonlyMap<string, OidcIssuer>

  constructor(parts: { keys: ApiKeys; tenants: Tenants; issuers: readonly OidcIssuer[] }) {
    this.#keys = parts.keys
    this.#tenants = parts.tenants
    this.#issuers = new Map(parts.issuers.map((issuer) => [issuer.settings.issuer, issuer]))
  }

  /**
   * The principal of a request.
   * @throws ProblemError `unauthorized`; `forbidden` when no rule lets the holder of a token in;
   * `project-not-found`; `upstream-unavailable` when an issuer's keys cannot be had
   */
  async authenticate(headers: IncomingHttpHeaders): Promise<Principal> {
    const token = bearerToken(headers)
    const identity = looksLikeKey(token) ? await this.#ofKey(token) : await this.#ofToken(token)
    const asked = headers[projectHeader]
    return this.#inProject(identity, Array.isArray(asked) ? asked.join() : asked)
  }

  async #ofKey(text: string): Promise<Identity> {
    const parts = parseKey(text)
    const key = parts === undefined ? undefined : await this.#keys.find(parts.id)
    if (parts === undefined || key === undefined || !accepts(key, parts)) {
      throw unauthorized('There is no such API key.')
    }
    // Told only to whoever has the secret.
    if (!isUsable(key)) {
      throw unauthorized(
        `The API key ${key.id} ${key.revokedAt === undefined ? 'has expired' : 'has been revoked'}.`,
      )
    }
    return { ...key, subject: `key:${key.id}` }
  }

  async #ofToken(token: string): Promise<Identity> {
    const issuer = this.#issuers.get(issuerOf(token))
    if (issuer === undefined)
      throw unauthorized('The token is no API key, and of no issuer that is known here.')
    const claims = await issuer.verify(token)
    const rule = findRule(issuer.settings.rules, claims)
    if (rule === undefined) {
      throw new ProblemError('forbidden', `No rule lets ${claims.sub} of ${issuer.settings.issuer} in.`)
    }
    if (claims.sub.length > maximumSub)
      throw unauthorized(`The token has a sub of more than ${maximumSub} characters.`)
    return {
      ...rule,
      subject: `oidc:${issuer.settings.issuer}#${claims.sub}`,
      name: claims.sub,
      expiresAt: new Date(claims.exp * 1000).toISOString(),
    }
  }

  async #inProject(identity: Identity, asked: string | undefined): Promise<Principal> {
    const { subject, name, role, scopes, expiresAt } = identity
    const tenant = await this.#tenants.find(identity.tenant)
    if (tenant === undefined) throw unauthorized(`The tenant ${identity.tenant} is gone.`)
    const wanted = asked ?? identity.project ?? defaultProject
    const project = tenant.projects.find(({ id }) => id === wanted)
    const isAllowed = identity.project === undefined || identity.project === wanted
    if (project === undefined || project.removing === true || !isAllowed)
      return projectNotFound(wanted.slice(0, 40))
    return {
      ...{ subject, name, role },
      tenant: tenant.id,
      project: project.id,
      everyProject: identity.project === undefined,
      scopes: scopesOf(role, { scopes, oneProject: identity.project !== undefined }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
    }
  }
}

/** Longest `sub` that is taken, in characters; OpenID Connect Core 1.0 allows 255. */
const maximumSub = 500

/** The issuer that a token says it is of, which nobody has verified yet. */
function issuerOf(token: string): string {
  try {
    return decodeJwt(token).iss ?? ''
  } catch {
    return ''
  }
}
