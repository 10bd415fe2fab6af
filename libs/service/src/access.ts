import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { Principal, Scope } from '@edgesmith/contract/access'
import { ProblemError } from '@edgesmith/contract/problem'
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { App } from './app.ts'

/**
 * What a route asks of whoever calls it: a scope; `any` credentials; or nothing, as it is `public` or has a
 * guard of its own.
 */
export type RouteScope = Scope | 'any' | 'public'

/** Tells who makes a request. @throws ProblemError `unauthorized`, `forbidden`, `project-not-found` */
export type Authenticate = (headers: IncomingHttpHeaders, socket: Socket) => Promise<Principal> | Principal

/**
 * Lets a request in, or not, once it is known who makes it, or that its credentials are refused: `knownPrincipal`
 * tells. @throws ProblemError `too-many-requests`
 */
export type Admit = (request: FastifyRequest, reply: FastifyReply) => Promise<void>

const realm = 'Bearer realm="edgesmith"'
const principalOf = Symbol('principal')

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route asks for; a guarded route without one is a fault of the program. */
    scope?: RouteScope
  }
  interface FastifyRequest {
    /** Who makes the request, and in which project. Throws in a route that is `public`. */
    readonly principal: Principal
    [principalOf]?: Principal
  }
}

/**
 * Guards all routes of an app: each asks for the scope that its `config.scope` says, and those added from now
 * on without one make the app fail as it starts. `admit` has a say in every request, those to nowhere included.
 */
export function guardRoutes(app: App, authenticate: Authenticate, admit?: Admit): void {
  app.decorateRequest(principalOf)
  app.decorateRequest('principal', {
    getter() {
      const principal = this[principalOf]
      if (principal === undefined)
        throw new Error(`${this.url} asks for no credentials, and has no principal.`)
      return principal
    },
  })
  const routes: RouteOptions[] = []
  app.addHook('onRoute', (route) => {
    routes.push(route)
  })
  app.addHook('onReady', (done) => {
    const open = routes.filter(({ config }) => config?.scope === undefined)
    const names = open.map(({ method, url }) => `${[method].flat().join()} ${url}`)
    done(names.length === 0 ? undefined : new Error(`Routes without config.scope: ${names.join('; ')}`))
  })
  app.addHook('onRequest', async (request, reply) => {
    const { scope } = request.routeOptions.config
    if (scope === 'public' || request.is404) {
      await admit?.(request, reply)
      return
    }
    try {
      request[principalOf] = await authenticate(request.headers, request.socket)
    } finally {
      await admit?.(request, reply)
    }
    const principal = request.principal
    if (scope === undefined || (scope !== 'any' && !principal.scopes.includes(scope))) {
      throw forbidden(scope ?? 'none')
    }
  })
}

/** Who makes a request, where that is known: not in a route that is `public`, and not before it was told. */
export function knownPrincipal(request: FastifyRequest): Principal | undefined {
  return request[principalOf]
}

/** The token of `Authorization: Bearer` (RFC 6750). @throws ProblemError `unauthorized` when there is none */
export function bearerToken({ authorization = '' }: IncomingHttpHeaders): string {
  const token = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization)?.[1]
  if (token !== undefined) return token
  throw new ProblemError(
    'unauthorized',
    'Send an API key, or the token of an issuer that this service knows, in the header `Authorization: Bearer …`.',
    { headers: { 'www-authenticate': realm } },
  )
}

/** The problem of credentials that are not valid. */
export function unauthorized(detail: string): ProblemError {
  return new ProblemError('unauthorized', detail, {
    headers: { 'www-authenticate': `${realm}, error="invalid_token"` },
  })
}

function forbidden(scope: string): ProblemError {
  return new ProblemError('forbidden', `These credentials lack the scope ${scope}.`, {
    headers: { 'www-authenticate': `${realm}, error="insufficient_scope", scope="${scope}"` },
  })
}
