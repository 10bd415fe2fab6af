import { certificateUri, serviceUri, type ServiceName } from '@edgesmith/service/service-name'
import type { ServiceCertificate } from '@edgesmith/service/service-certificate'
import { Agent, buildConnector } from 'undici'

/**
 * Makes the connections to another service: TLS 1.3 with the gateway's certificate, to a server whose certificate was
 * issued by the authority of this installation and names that service, at whatever address it is. A renewed
 * certificate is used from the next connection on.
 */
export function serviceAgent(certificate: ServiceCertificate, service: ServiceName): Agent {
  let connect = connector(certificate, service)
  certificate.onRenewal(() => {
    connect = connector(certificate, service)
  })
  return new Agent({
    connect: (options, callback) => {
      connect(options, callback)
    },
  })
}

function connector({ current }: ServiceCertificate, service: ServiceName): buildConnector.connector {
  return buildConnector({
    ...current,
    minVersion: 'TLSv1.3',
    // A session that is resumed would be taken without a look at the certificate.
    maxCachedSessions: 0,
    checkServerIdentity: (_host, peer) => {
      const uri = certificateUri(peer)
      return uri === serviceUri(service)
        ? undefined
        : new Error(`The certificate of the ${service} service names ${uri ?? 'no service'}.`)
    },
  })
}
