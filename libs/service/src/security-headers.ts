import type { FastifyHelmetOptions } from '@fastify/helmet'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What is told of the answers of a route in place of `securityHeaders`. */
    helmet?: Omit<FastifyHelmetOptions, 'global'>
  }
}

/**
 * What browsers are told of every answer: that it is what its `Content-Type` says, is no page, and is neither framed
 * nor embedded elsewhere. `Strict-Transport-Security` is left to whoever ends TLS: it speaks for a whole host.
 */
export const securityHeaders: FastifyHelmetOptions = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
  },
  strictTransportSecurity: false,
  xFrameOptions: { action: 'deny' },
}

/** The same of a page that has its scripts and styles from here and calls the API that it came from. */
export const pageHeaders: FastifyHelmetOptions = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      objectSrc: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
  },
}
