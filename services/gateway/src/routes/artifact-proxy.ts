import httpProxy from '@fastify/http-proxy'
import { ProblemError, toProblem } from '@edgesmith/contract/problem'
import type { App } from '@edgesmith/service/app'
import type { GatewayContext } from '../context.ts'

/**
 * Passes `/v1/artifacts` and `/v1/downloads` on to the artifact service, so that a client needs to
 * know the gateway only. Signed URLs lead to the artifact service itself.
 */
export async function artifactProxy(app: App, { config }: GatewayContext): Promise<void> {
  for (const prefix of ['/v1/artifacts', '/v1/downloads']) {
    await app.register(httpProxy, {
      upstream: config.artifactUrl,
      prefix,
      rewritePrefix: prefix,
      httpMethods: ['GET', 'HEAD', 'POST'],
      replyOptions: {
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
