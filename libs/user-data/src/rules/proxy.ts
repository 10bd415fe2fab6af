import { isIP } from 'node:net'
import { textAt } from '../path.ts'
import { sources, type FieldRule } from '../rule.ts'
import { parseAddress } from './subnet.ts'

const network = ['stylus', 'site', 'network'] as const

const proxyUrl: FieldRule = {
  code: 'user-data.proxy-url',
  severity: 'error',
  summary: 'Proxies are absolute HTTP or HTTPS URLs.',
  source: sources.installerReference,
  *check(document) {
    for (const field of ['httpProxy', 'httpsProxy']) {
      const value = textAt(document, [...network, field])
      if (value === undefined) continue
      const url = URL.parse(value)
      if (url !== null && /^https?:$/.test(url.protocol) && url.hostname !== '') continue
      const message = `${JSON.stringify(value)} is no URL of a proxy. Write it with its scheme, such as http://proxy.example.com:3128.`
      yield { path: [...network, field], message }
    }
  },
}

const noProxy: FieldRule = {
  code: 'user-data.no-proxy',
  severity: 'warning',
  summary: '`noProxy` lists addresses, networks and domains, separated by commas.',
  source: sources.installerReference,
  *check(document) {
    const value = textAt(document, [...network, 'noProxy'])
    for (const entry of value?.split(',').map((part) => part.trim()) ?? []) {
      if (isHostPattern(entry)) continue
      const message =
        entry === ''
          ? 'noProxy has an empty entry. Remove the comma that is too many.'
          : `${JSON.stringify(entry)} is no address, network or domain. Write entries like 10.0.0.0/8 or .example.com, without scheme or path.`
      yield { path: [...network, 'noProxy'], message }
    }
  },
}

function isHostPattern(entry: string): boolean {
  if (entry === '*' || isIP(entry) !== 0 || parseAddress(entry) !== undefined) return true
  if (/^[\d.]+\/\d+$/.test(entry)) return false
  return /^(?:\*?\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?(?::\d{1,5})?$/.test(entry)
}

/** The rules about proxies. */
export const proxyRules: readonly FieldRule[] = [proxyUrl, noProxy]
