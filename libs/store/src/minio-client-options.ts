import type { ClientOptions } from 'minio'
import type { MinioSettings } from './minio-store.ts'

/**
 * What a client of a MinIO server is made with.
 * @throws RangeError for an endpoint that is not `http://host:port` or `https://host:port`
 */
export function minioClientOptions({
  endpoint,
  accessKey,
  secretKey,
  region = 'us-east-1',
}: Omit<MinioSettings, 'bucket'>): ClientOptions & { region: string; useSSL: boolean } {
  const { protocol, hostname, port, pathname } = new URL(endpoint)
  if ((protocol !== 'http:' && protocol !== 'https:') || pathname !== '/') {
    throw new RangeError(`${endpoint} is not an endpoint such as https://minio.example.com:9000.`)
  }
  return {
    endPoint: hostname,
    ...(port === '' ? {} : { port: Number(port) }),
    useSSL: protocol === 'https:',
    accessKey,
    secretKey,
    region,
  }
}
