import { randomUUID } from 'node:crypto'
import fastifyHelmet from '@fastify/helmet'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyServerOptions,
  type RawServerDefault,
} from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { DrainedConnections } from './drained-connections.ts'
import { drainMs } from './grace-period.ts'
import { cutIdleConnections } from './idle-connections.ts'
import { allowOrigins } from './cross-origin.ts'
import { answerClientError, handleProblems } from './problem-handler.ts'
import { limitHeads, maxHeadBytes } from './request-limits.ts'
import { RequestLog } from './request-log.ts'
import { compileValidator } from './request-validation.ts'
import { securityHeaders } from './security-headers.ts'
import { createServiceServer, type ServiceTls } from './service-server.ts'

/** A Fastify app whose routes take their types from TypeBox schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** A part that a service cannot work without: its name and a check that rejects when it is down. */
export type Dependency = { readonly name: string; readonly check: () => Promise<void> }

export type AppOptions = {
  readonly logger: FastifyBaseLogger
  /** Checked by `GET /readyz`. */
  readonly dependencies: readonly Dependency[]
  /** Largest body that is read into memory, in bytes; streamed uploads have limits of their own. */
  readonly bodyLimit?: number
  /** How long a connection may be silent in the middle of a request, in milliseconds. */
  readonly idleTimeoutMs?: number
  /** How long the head of a request may take to arrive, in milliseconds. */
  readonly headTimeoutMs?: number
  /** How long the service takes to stop at the most, in seconds; half a minute when left out. */
  readonly graceSeconds?: number | undefined
  /** Origins whose pages may call the app; none when left out. */
  readonly corsOrigins?: readonly string[]
  /** Proxies whose `X-Forwarded-For` is believed: addresses, networks and names that `proxy-addr` knows. */
  readonly trustedProxies?: readonly string[]
  /** For an app that other services call: who may, and by which certificate they know this one. */
  readonly services?: ServiceTls
}

const Health = Type.Object({ status: Type.Literal('ok') })
const Readiness = Type.Object({
  status: Type.Enum(['ready', 'unready']),
  dependencies: Type.Record(Type.String(), Type.String()),
})

/**
 * Makes an app as every service has it: TypeBox schemas, problem+json errors, request ids,
 * `GET /healthz` (the process answers) and `GET /readyz` (its dependencies do too).
 */
export function createApp({
  logger,
  dependencies,
  bodyLimit = 1024 * 1024,
  idleTimeoutMs = 120_000,
  headTimeoutMs = 30_000,
  graceSeconds,
  corsOrigins = [],
  trustedProxies = [],
  services,
}: AppOptions): App {
  const app = Fastify({
    loggerInstance: logger,
    logController: new RequestLog(),
    bodyLimit,
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    connectionTimeout: idleTimeoutMs,
    http: {
      maxHeaderSize: maxHeadBytes,
      headersTimeout: headTimeoutMs,
      connectionsCheckingInterval: headTimeoutMs / 4,
    },
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    return503OnClosing: true,
    forceCloseConnections: 'idle' as const,
    routerOptions: { maxParamLength: 256 },
    clientErrorHandler: answerClientError,
    ...(services === undefined ? {} : listensForServices(services, logger)),
  }).withTypeProvider<TypeBoxTypeProvider>()
  cutIdleConnections(app.server, idleTimeoutMs)
  const connections = new DrainedConnections(app.server)
  app.addHook('preClose', (done) => {
    if (app.server.listening) connections.drain(drainMs(graceSeconds))
    done()
  })
  app.setValidatorCompiler(compileValidator)
  handleProblems(app)
  void app.register(fastifyHelmet, securityHeaders)
  allowOrigins(app, corsOrigins)
  app.after(() => {
    // What another service passes on was bounded there.
    if (services === undefined) limitHeads(app)
  })
  const config = { scope: 'public' } as const
  app.get(
    '/healthz',
    { config, schema: { hide: true, response: { 200: Health } }, logLevel: 'warn' },
    () => ({
      status: 'ok' as const,
    }),
  )
  app.get(
    '/readyz',
    { config, schema: { hide: true, response: { 200: Readiness, 503: Readiness } }, logLevel: 'warn' },
    async (_request, reply) => {
      const results = await Promise.allSettled(dependencies.map((dependency) => dependency.check()))
      const states = results.map((result, index) => [
        dependencies[index]?.name ?? '',
        result.status === 'fulfilled' ? 'ok' : String(result.reason),
      ])
      const ready = results.every((result) => result.status === 'fulfilled')
      return reply.code(ready ? 200 : 503).send({
        status: ready ? ('ready' as const) : ('unready' as const),
        dependencies: Object.fromEntries(states) as Record<string, string>,
      })
    },
  )
  return app
}

/** What makes Fastify listen for services; `https` is how it tells its address. */
function listensForServices(
  services: ServiceTls,
  logger: FastifyBaseLogger,
): Pick<FastifyServerOptions, 'serverFactory'> & { https: object } {
  return {
    https: {},
    serverFactory: (handler, options) => {
      const server = createServiceServer(handler, services, logger)
      const { keepAliveTimeout, requestTimeout, connectionTimeout } = options as FastifyServerOptions
      server.keepAliveTimeout = keepAliveTimeout ?? server.keepAliveTimeout
      server.requestTimeout = requestTimeout ?? server.requestTimeout
      return server.setTimeout(connectionTimeout)
    },
  }
}
