import { isIP } from 'node:net'

/** True for addresses that only programs on the same host can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** The faults of listening on an address: beyond loopback, a token is required. */
export function listenFaults(name: string, host: string, tokens: readonly string[]): string[] {
  if (isLoopback(host) || tokens.length > 0) return []
  return [`${name} is ${host}, which other hosts can reach: set a token first, or listen on 127.0.0.1`]
}
