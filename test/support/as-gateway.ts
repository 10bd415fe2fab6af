import { scopesOfRole } from '@edgesmith/contract/access'
import { serviceAgent } from '@edgesmith/gateway-service/service-agent'
import { ValidationClient } from '@edgesmith/gateway-service/validation-client'
import { forwardedHeaders } from '@edgesmith/service/forwarded-principal'
import { createLogger, type CalledService } from '@edgesmith/service/lifecycle'
import { ServiceCertificate } from '@edgesmith/service/service-certificate'
import type { ServiceName } from '@edgesmith/service/service-name'
import type { Agent } from 'undici'
import { fetchWith } from './as-operator.ts'
import { tlsDirectoryOf } from './service-certificates.ts'

/** The headers of what the gateway passes on for the operator. */
export const asGateway = forwardedHeaders({
  subject: 'key:0123456789abcdef',
  name: 'test',
  tenant: 'default',
  project: 'default',
  everyProject: true,
  role: 'operator',
  scopes: [...scopesOfRole.operator],
})

const certificate = await ServiceCertificate.open({
  directory: tlsDirectoryOf('gateway'),
  service: 'gateway',
  logger: createLogger('test', 'silent'),
})

/** Connections to a service as the gateway makes them. */
export function agentTo(service: ServiceName): Agent {
  return serviceAgent(certificate, service)
}

/** `fetch` as the gateway asks the artifact service. */
export const fetch = fetchWith(asGateway, { dispatcher: agentTo('artifact') })

/** Asks a validation service as the gateway does. */
export function askValidation({ internalUrl }: CalledService): ValidationClient {
  return new ValidationClient(internalUrl, agentTo('validation'))
}
