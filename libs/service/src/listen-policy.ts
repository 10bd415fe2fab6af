import { isIP } from 'node:net'

/** True for addresses that only programs on the same host can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Names of networks that `proxy-addr` knows. */
const namedNetworks = ['loopback', 'linklocal', 'uniquelocal']

/** The faults of a variable that lists trusted proxies: entries that are no address, network or known name. */
export function trustedProxyFaults(name: string, proxies: readonly string[]): string[] {
  return proxies
    .filter((proxy) => !namedNetworks.includes(proxy) && !isNetwork(proxy))
    .map((proxy) => `${name} has ${JSON.stringify(proxy)}, which is no address and no network`)
}

function isNetwork(text: string): boolean {
  const [address = '', length, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  // No prefix at all would trust every host; `proxy-addr` refuses it.
  return (
    length === undefined || (/^[1-9]\d{0,2}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128))
  )
}
