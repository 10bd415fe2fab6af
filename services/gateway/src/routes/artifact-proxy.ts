import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import httpProxy from '@fastify/http-proxy'
import { ProblemError, toProblem } from '@edgesmith/contract/problem'
import type { App } from '@edgesmith/service/app'
import { credentialHeaders, forwardedHeaders } from '@edgesmith/service/forwarded-principal'
import type { GatewayContext } from '../context.ts'

/**
 * Passes `/v1/artifacts`, `/v1/downloads` and `/v1/provenance-keys` on to the artifact service, so that a client needs to
 * know the gateway only. Signed URLs lead to the artifact service itself.
 */
export async function artifactProxy(app: App, { config, artifactAgent }: GatewayContext): Promise<void> {
  for (const [prefix, scope] of [
    // The artifact service asks for the scope of each operation.
    ['/v1/artifacts', 'any'],
    ['/v1/provenance-keys', 'any'],
    ['/v1/downloads', 'public'],
  ] as const) {
    await app.register(httpProxy, {
      config: { scope },
      upstream: config.artifactUrl,
      undici: artifactAgent,
      prefix,
      rewritePrefix: prefix,
      // Which of them a path takes is told by the artifact service.
      httpMethods: app.supportedMethods,
      replyOptions: {
        rewriteRequestHeaders: (request, headers) => ({
          ...withoutCredentials(withClientAddress(request, headers)),
          ...(scope === 'public' ? {} : forwardedHeaders(request.principal)),
        }),
        onError: (reply, { error }) => {
          reply.log.error({ err: error }, 'The artifact service cannot be reached.')
          const problem = toProblem(
            new ProblemError(
              'upstream-unavailable',
              'The artifact service cannot be reached; try again shortly.',
            ),
          )
          void reply
            .code(503)
            .header('retry-after', '5')
            .type('application/problem+json')
            .serializer(JSON.stringify)
            .send(problem)
        },
      },
    })
  }
}

/** What a client says of itself is for this service; the one behind is told who it is. */
function withoutCredentials(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !credentialHeaders.includes(name)))
}

/**
 * Adds the address that this request came from to `X-Forwarded-For`. The artifact service believes it where
 * its `TRUSTED_PROXIES` names this gateway, and what the client itself sent there only behind further ones.
 */
function withClientAddress(
  { socket }: { socket: Pick<Socket, 'remoteAddress'> },
  headers: IncomingHttpHeaders,
): IncomingHttpHeaders {
  const before = headers['x-forwarded-for']
  const addresses = [...(before === undefined ? [] : [before].flat()), socket.remoteAddress ?? '']
  return { ...headers, 'x-forwarded-for': addresses.join(', ') }
}
