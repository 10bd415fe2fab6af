import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import type { FastifyBaseLogger } from 'fastify'
import { ConfigurationError } from './environment.ts'
import { certificateUri, serviceUri, type ServiceName } from './service-name.ts'

/** What a service shows to its peers, and the authority whose certificates it takes from them; PEM. */
export type Credentials = { readonly ca: string; readonly cert: string; readonly key: string }

export type ServiceCertificateOptions = {
  /** Has `ca.pem`, `cert.pem` and `key.pem`. */
  readonly directory: string
  /** Whom the certificate has to name. */
  readonly service: ServiceName
  readonly logger: FastifyBaseLogger
  /** How often the files are looked at, in milliseconds. */
  readonly lookMs?: number
}

/** A warning is due when less than this part of a certificate's life is left. */
const lastPart = 0.1

/**
 * The certificate of a service, from files that are read again as they change: what is renewed in place is used
 * from the next connection on. Files that do not belong together, as while they are being written, are left
 * alone, and the certificate at hand is used on.
 */
export class ServiceCertificate implements Disposable {
  readonly #options: ServiceCertificateOptions
  readonly #timer: NodeJS.Timeout
  readonly #renewed: (() => void)[] = []
  #current: Credentials
  #told: string | undefined

  private constructor(options: ServiceCertificateOptions, current: Credentials) {
    this.#options = options
    this.#current = current
    let looking = Promise.resolve()
    this.#timer = setInterval(() => {
      looking = looking.then(() => this.#look())
    }, options.lookMs ?? 5000).unref()
    this.#warnOfEnd()
  }

  /** @throws ConfigurationError when the files cannot be used */
  static async open(options: ServiceCertificateOptions): Promise<ServiceCertificate> {
    const { directory, service } = options
    try {
      const credentials = await readCredentials(directory)
      assertUsable(credentials, service)
      return new ServiceCertificate(options, credentials)
    } catch (error) {
      throw new ConfigurationError([
        `SERVICE_TLS_DIRECTORY is ${directory}: ${(error as Error).message}. \`npm run certificates\` makes what it has to have`,
      ])
    }
  }

  get current(): Credentials {
    return this.#current
  }

  /** Has a function called each time the certificate was renewed. */
  onRenewal(renewed: () => void): void {
    this.#renewed.push(renewed)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    const { directory, service, logger } = this.#options
    try {
      const { ca, cert, key } = await readCredentials(directory)
      const isSame = ca === this.#current.ca && cert === this.#current.cert && key === this.#current.key
      if (!isSame) {
        assertUsable({ ca, cert, key }, service)
        this.#current = { ca, cert, key }
        for (const renewed of this.#renewed) renewed()
        logger.info(
          { validTo: new X509Certificate(cert).validTo },
          'The certificate of this service was renewed.',
        )
      }
      this.#warnOfEnd()
    } catch (error) {
      this.#tell(`What is in ${directory} now cannot be used: ${(error as Error).message}.`)
    }
  }

  #warnOfEnd(): void {
    const { validFromDate, validToDate } = new X509Certificate(this.#current.cert)
    const lifetimeMs = validToDate.getTime() - validFromDate.getTime()
    if (validToDate.getTime() - Date.now() > lifetimeMs * lastPart) this.#told = undefined
    else this.#tell(`The certificate of this service ends at ${validToDate.toISOString()}; renew it.`)
  }

  /** Warns of something once, not at every look. */
  #tell(text: string): void {
    if (text !== this.#told) this.#options.logger.warn(text)
    this.#told = text
  }
}

async function readCredentials(directory: string): Promise<Credentials> {
  const [ca = '', cert = '', key = ''] = await Promise.all(
    ['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFile(join(directory, name), 'utf8')),
  )
  return { ca, cert, key }
}

/** @throws Error when certificate and key do not belong together, or name another service, or have expired */
function assertUsable({ ca, cert, key }: Credentials, service: ServiceName): void {
  createSecureContext({ ca: new X509Certificate(ca).toString(), cert, key })
  const { subjectAltName, validToDate } = new X509Certificate(cert)
  const uri = certificateUri({ subjectaltname: subjectAltName })
  if (uri !== serviceUri(service)) {
    throw new Error(`cert.pem names ${uri ?? 'no service'}, and has to name ${serviceUri(service)}`)
  }
  if (validToDate.getTime() < Date.now()) throw new Error(`cert.pem ended at ${validToDate.toISOString()}`)
}
