import { createHash, timingSafeEqual } from 'node:crypto'
import type { onRequestHookHandler } from 'fastify'
import { ProblemError } from '@edgesmith/contract/problem'

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/**
 * Makes an `onRequest` hook that asks for one of the tokens as `Authorization: Bearer`; with no tokens
 * configured every request passes. Requests without one are answered `unauthorized`.
 */
export function requireBearerToken(tokens: readonly string[]): onRequestHookHandler {
  const accepted = tokens.map(digest)
  return (request, _reply, done) => {
    const given = /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const matches =
      given !== undefined && accepted.map((token) => timingSafeEqual(token, digest(given))).includes(true)
    done(accepted.length === 0 || matches ? undefined : unauthorized(given !== undefined))
  }
}

function unauthorized(hasToken: boolean): ProblemError {
  return new ProblemError(
    'unauthorized',
    hasToken
      ? 'The token in the Authorization header is not one of the configured tokens.'
      : 'Send the token in the header `Authorization: Bearer <token>`.',
    { headers: { 'www-authenticate': 'Bearer' } },
  )
}
