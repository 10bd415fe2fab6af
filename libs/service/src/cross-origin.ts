import fastifyCors, { type FastifyCorsOptions } from '@fastify/cors'
import type { FastifyRequest } from 'fastify'
import type { App } from './app.ts'

/** Headers that pages of other origins may send. */
const allowedHeaders = [
  ...['Accept', 'Authorization', 'Content-Type', 'Edgesmith-Project', 'Idempotency-Key', 'Last-Event-ID'],
  ...['If-Match', 'If-None-Match', 'If-Modified-Since', 'If-Unmodified-Since', 'If-Range', 'Range'],
  ...['Content-Digest', 'Repr-Digest', 'Tus-Resumable', 'Upload-Checksum', 'Upload-Length'],
  ...['Upload-Metadata', 'Upload-Offset', 'Want-Repr-Digest'],
]

/** Headers that pages of other origins may read. */
const exposedHeaders = [
  ...['Accept-Ranges', 'Content-Disposition', 'Content-Length', 'Content-Range', 'ETag', 'Location'],
  ...['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'Repr-Digest', 'Retry-After'],
  ...['Tus-Checksum-Algorithm', 'Tus-Extension', 'Tus-Max-Size', 'Tus-Resumable', 'Tus-Version'],
  ...['Upload-Content-Id', 'Upload-Expires', 'Upload-Length', 'Upload-Metadata', 'Upload-Offset'],
]

/** How long a browser may go by what it was told of what is allowed, in seconds. */
const maxAge = 600

/**
 * Lets pages of these origins call the routes of an app; those of all others, and with no origins given all, are
 * told nothing, so that browsers keep the answers from them. Cookies and the like have no part in it: no request
 * is let in by what a browser sends of itself.
 */
export function allowOrigins(app: App, origins: readonly string[]): void {
  if (origins.length === 0) return
  // The route by which the plugin has preflights reach its hook asks for no credentials.
  app.addHook('onRoute', (route) => {
    if (route.url === '*') route.config = { ...route.config, scope: 'public' }
  })
  const delegator = (
    request: FastifyRequest,
    done: (error: Error | null, options?: FastifyCorsOptions) => void,
  ) => {
    const { origin = '', 'access-control-request-method': asked } = request.headers
    done(null, {
      origin: origins.includes(origin) && origin,
      preflight: asked !== undefined,
      strictPreflight: false,
      credentials: false,
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      ...{ allowedHeaders, exposedHeaders, maxAge },
    })
  }
  void app.register(fastifyCors, { delegator })
}

/** The faults of a list of origins: entries that are no origin as browsers send it (RFC 6454, 6.1). */
export function originFaults(name: string, origins: readonly string[]): string[] {
  return origins
    .filter((origin) => !isOrigin(origin))
    .map((origin) => `${name} has ${JSON.stringify(origin)}, which is no origin like https://portal.example`)
}

function isOrigin(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text && !text.includes('*')
}
