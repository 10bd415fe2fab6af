import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { onRequestHookHandler } from 'fastify'
import { ProblemError } from '@edgesmith/contract/problem'

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Makes a check whether a request has one of the tokens as `Authorization: Bearer`. */
export function tokenCheck(tokens: readonly string[]): (headers: IncomingHttpHeaders) => boolean {
  const accepted = tokens.map(digest)
  return ({ authorization = '' }) => {
    const given = /^Bearer ([^\s]+)$/i.exec(authorization)?.[1]
    return (
      given !== undefined && accepted.map((token) => timingSafeEqual(token, digest(given))).includes(true)
    )
  }
}

/**
 * Makes an `onRequest` hook that asks for one of the tokens between services; with no tokens configured every
 * request passes. Requests without one are answered `unauthorized`.
 */
export function requireBearerToken(tokens: readonly string[]): onRequestHookHandler {
  const isToken = tokenCheck(tokens)
  return ({ headers }, _reply, done) => {
    done(tokens.length === 0 || isToken(headers) ? undefined : unauthorized())
  }
}

function unauthorized(): ProblemError {
  return new ProblemError(
    'unauthorized',
    'Only the other services may call this one, with a token in the header `Authorization: Bearer <token>`.',
    { headers: { 'www-authenticate': 'Bearer' } },
  )
}
