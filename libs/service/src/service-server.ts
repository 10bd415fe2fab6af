import { constants } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { createServer, type Server, type ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { ProblemError } from '@edgesmith/contract/problem'
import type { FastifyBaseLogger, onRequestHookHandler } from 'fastify'
import { maxHeadBytes } from './request-limits.ts'
import type { ServiceCertificate } from './service-certificate.ts'
import { certificateUri, serviceUri, type ServiceName } from './service-name.ts'

/** How a service listens for other services. */
export type ServiceTls = {
  readonly certificate: ServiceCertificate
  /** Who may connect. */
  readonly callers: readonly ServiceName[]
}

/** Time in which a peer has to have shown its certificate, in milliseconds. */
const handshakeTimeoutMs = 10_000

const callers = new WeakMap<Socket, ServiceName>()

/** The service that a connection comes from, by its certificate; undefined where it showed none. */
export function callerOf(socket: Socket): ServiceName | undefined {
  return callers.get(socket)
}

/** Makes an `onRequest` hook that answers one service alone, and all others `unauthorized`. */
export function requireCaller(service: ServiceName): onRequestHookHandler {
  return ({ socket }, _reply, done) => {
    done(
      callerOf(socket) === service
        ? undefined
        : new ProblemError('unauthorized', `This service answers the ${service} alone.`),
    )
  }
}

/**
 * Makes a server for services: TLS 1.3 alone, and only for peers whose certificate was issued by the authority of
 * this installation and names one of the `callers`. Others are cut off before they can send a request, and the log
 * has the reason. A renewed certificate is shown from the next connection on.
 */
export function createServiceServer(
  handler: RequestListener,
  { certificate, callers: admitted }: ServiceTls,
  logger: FastifyBaseLogger,
): Server {
  const server = createServer(optionsOf(certificate), handler)
  certificate.onRenewal(() => {
    server.setSecureContext(optionsOf(certificate))
  })
  const refuse = (socket: TLSSocket, reason: string) => {
    logger.warn({ remoteAddress: socket.remoteAddress, reason }, 'Refused a connection.')
    socket.destroy()
  }
  // Before the server's own listener, which reads requests.
  server.prependListener('secureConnection', (socket) => {
    const uri = certificateUri(socket.getPeerCertificate())
    const caller = admitted.find((name) => serviceUri(name) === uri)
    if (socket.getPeerX509Certificate() === undefined) refuse(socket, 'It showed no certificate.')
    else if (!socket.authorized)
      refuse(socket, `The certificate was not taken: ${String(socket.authorizationError)}.`)
    else if (caller === undefined) refuse(socket, `The certificate names ${uri ?? 'no service'}.`)
    else callers.set(socket, caller)
  })
  server.on('tlsClientError', (error, socket) => {
    refuse(socket, error.message)
  })
  return server
}

function optionsOf({ current }: ServiceCertificate): ServerOptions {
  return {
    ...current,
    minVersion: 'TLSv1.3',
    // The head that a client sent, and what the service that passes it on adds.
    maxHeaderSize: 2 * maxHeadBytes,
    requestCert: true,
    // Node.js would cut a peer off without a word of why and who; `createServiceServer` does so itself.
    rejectUnauthorized: false,
    handshakeTimeout: handshakeTimeoutMs,
    // A session that is resumed would be let in without a look at the certificate.
    secureOptions: constants.SSL_OP_NO_TICKET,
  }
}
