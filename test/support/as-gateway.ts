import { scopesOfRole } from '@edgesmith/contract/access'
import { forwardedHeaders } from '@edgesmith/service/forwarded-principal'
import { fetchWith } from './as-operator.ts'

/** The token of the gateway. */
export const serviceToken = 'between-services'

/** The headers of what the gateway passes on for the operator. */
export const asGateway = forwardedHeaders(
  {
    subject: 'key:0123456789abcdef',
    name: 'test',
    tenant: 'default',
    project: 'default',
    everyProject: true,
    role: 'operator',
    scopes: [...scopesOfRole.operator],
  },
  serviceToken,
)

/** `fetch` as the gateway does it. */
export const fetch = fetchWith(asGateway)
