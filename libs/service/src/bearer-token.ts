import { createHash, timingSafeEqual } from 'node:crypto'
import { ProblemError } from '@edgesmith/contract/problem'

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/**
 * Makes a check of `Authorization: Bearer` headers. With no tokens configured every request passes.
 * @throws ProblemError `unauthorized` when the header is missing or names no configured token.
 */
export function bearerTokenCheck(tokens: readonly string[]): (authorization: string | undefined) => void {
  const accepted = tokens.map(digest)
  return (authorization) => {
    if (accepted.length === 0) return
    const given = /^Bearer ([^\s]+)$/i.exec(authorization ?? '')?.[1]
    const matches = given !== undefined && accepted.map((token) => timingSafeEqual(token, digest(given))).includes(true)
    if (matches) return
    throw new ProblemError(
      'unauthorized',
      given === undefined
        ? 'Send the API token in the header `Authorization: Bearer <token>`.'
        : 'The token in the Authorization header is not one of the configured API tokens.',
      { headers: { 'www-authenticate': 'Bearer' } },
    )
  }
}
