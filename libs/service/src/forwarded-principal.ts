import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { Principal } from '@edgesmith/contract/access'
import { validatorOf } from '@edgesmith/store/validator-of'
import type { onRequestHookHandler } from 'fastify'
import { unauthorized } from './access.ts'
import { callerOf } from './service-server.ts'

/** Header in which the gateway tells the services behind it who makes a request. */
const principalHeader = 'edgesmith-principal'

/** The headers of a request that the gateway makes to a service behind it, for a principal. */
export function forwardedHeaders(principal: Principal): Record<string, string> {
  return { [principalHeader]: Buffer.from(JSON.stringify(principal)).toString('base64url') }
}

/** Headers of credentials, which are not passed on as a client sent them. */
export const credentialHeaders: readonly string[] = ['authorization', principalHeader]

/** Tells the principal of a request that comes from the gateway, which showed its certificate. */
export function forwardedAuthentication(headers: IncomingHttpHeaders, socket: Socket): Principal {
  if (callerOf(socket) !== 'gateway')
    throw unauthorized('This service answers the gateway alone; send the request there.')
  const [header = ''] = [headers[principalHeader]].flat()
  const principal: unknown = JSON.parse(Buffer.from(header, 'base64url').toString() || 'null')
  if (!validatorOf(Principal).Check(principal))
    throw unauthorized('The gateway did not say who makes the request.')
  return principal
}

/** An `onRequest` hook for what everybody reaches: refuses whoever claims to speak for somebody, as the gateway does. */
export const refuseForwarded: onRequestHookHandler = (request, _reply, done) => {
  if (request.headers[principalHeader] === undefined) {
    done()
    return
  }
  request.log.warn({ remoteAddress: request.ip }, `Refused a request with the header ${principalHeader}.`)
  done(unauthorized('Only the gateway says who makes a request, and not at this address.'))
}
