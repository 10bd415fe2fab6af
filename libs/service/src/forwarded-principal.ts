import { Principal } from '@edgesmith/contract/access'
import { Value } from 'typebox/value'
import { unauthorized, type Authenticate } from './access.ts'
import { tokenCheck } from './bearer-token.ts'

/** Header in which the gateway tells the services behind it who makes a request. */
const principalHeader = 'edgesmith-principal'

/** The headers of a request that the gateway makes to a service behind it, for a principal. */
export function forwardedHeaders(principal: Principal, serviceToken: string): Record<string, string> {
  return {
    authorization: `Bearer ${serviceToken}`,
    [principalHeader]: Buffer.from(JSON.stringify(principal)).toString('base64url'),
  }
}

/** Headers of credentials, which are not passed on as a client sent them. */
export const credentialHeaders: readonly string[] = ['authorization', principalHeader]

/** Makes what tells the principal of a request that comes from the gateway, which has a service token. */
export function forwardedAuthentication(serviceTokens: readonly string[]): Authenticate {
  const isToken = tokenCheck(serviceTokens)
  return (headers) => {
    if (!isToken(headers))
      throw unauthorized('This service answers the gateway alone; send the request there.')
    const [header = ''] = [headers[principalHeader]].flat()
    const principal: unknown = JSON.parse(Buffer.from(header, 'base64url').toString() || 'null')
    if (!Value.Check(Principal, principal))
      throw unauthorized('The gateway did not say who makes the request.')
    return principal
  }
}
