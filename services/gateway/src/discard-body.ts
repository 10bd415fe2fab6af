import type { FastifyRequest } from 'fastify'

/**
 * Takes the rest of a body that is not wanted, so that the client, which sends first and reads then, gets to see
 * the answer, and its connection can be closed. Whoever reads the body, such as the parser of a form, gets no
 * more of it: it may be waiting for a file to be read that nobody reads any more.
 */
export function discardBody({ raw }: FastifyRequest): void {
  raw.unpipe()
  raw.resume()
}
