import { isIP } from 'node:net'
import { entriesAt, isMapping, textAt, valueAt } from '../path.ts'
import { sources, type FieldRule, type Finding } from '../rule.ts'
import { parseAddress, parseMask, subnetContains, subnetEdge } from './subnet.ts'

const list = ['stylus', 'site', 'network', 'interfaces'] as const

type Interface = { name: string; path: readonly string[]; isStatic: boolean }

function interfacesOf(document: unknown): Interface[] {
  return entriesAt(document, list)
    .filter(([, value]) => isMapping(value))
    .map(([name, value]) => ({
      name,
      path: [...list, name],
      isStatic: valueAt(value, ['type']) === 'static',
    }))
}

const interfaceName: FieldRule = {
  code: 'user-data.interface-name',
  severity: 'error',
  summary: 'Interface names are ones Linux can have: 1 to 15 characters, no white space, no slash.',
  source: sources.linux,
  *check(document) {
    for (const [name] of entriesAt(document, list)) {
      if (/^(?!\.{1,2}$)[^\s/:]{1,15}$/.test(name)) continue
      const message = `No interface can be called ${JSON.stringify(name)}: names have 1 to 15 characters and no white space, slash or colon.`
      yield { path: [...list, name], on: 'key', message }
    }
  },
}

const staticAddress: FieldRule = {
  code: 'user-data.static-address',
  severity: 'error',
  summary: 'A static interface has an address with its prefix length, or with a mask.',
  source: sources.template,
  *check(document) {
    for (const { name, path, isStatic } of interfacesOf(document)) {
      if (!isStatic) continue
      const text = textAt(document, [...path, 'ipAddress'])
      if (text === undefined) {
        const message = `The interface ${name} is static and has no ipAddress. Add one with its prefix length, such as 10.0.10.25/24, or set type to dhcp.`
        yield { path, on: 'key', message }
      } else if (!text.includes('/') && textAt(document, [...path, 'mask']) === undefined) {
        const message = `The address of ${name} has no prefix length and there is no mask. Write it like ${text}/24.`
        yield { path: [...path, 'ipAddress'], message }
      }
    }
  },
}

const address: FieldRule = {
  code: 'user-data.address',
  severity: 'error',
  summary: 'Addresses, masks, gateways and name servers are IP addresses.',
  source: sources.installerReference,
  *check(document) {
    yield* nameserverFault(document, ['stylus', 'site', 'network', 'nameserver'])
    for (const { path } of interfacesOf(document)) {
      const fields = {
        ipAddress: parseAddress,
        mask: parseMask,
        gateway: (text: string) => isIP(text) || undefined,
      }
      for (const [field, parse] of Object.entries(fields)) {
        const text = textAt(document, [...path, field])
        if (text === undefined || parse(text) !== undefined) continue
        const example =
          { ipAddress: '10.0.10.25/24', mask: '255.255.255.0', gateway: '10.0.10.1' }[field] ?? ''
        yield {
          path: [...path, field],
          message: `${JSON.stringify(text)} is no ${field}. Write it like ${example}.`,
        }
      }
      yield* nameserverFault(document, [...path, 'nameserver'])
    }
  },
}

function* nameserverFault(document: unknown, path: readonly string[]): Generator<Finding> {
  const wrong = textAt(document, path)
    ?.split(/[\s,]+/)
    .find((part) => part !== '' && isIP(part) === 0)
  if (wrong === undefined) return
  yield { path, message: `A name server is given by its IP address; ${JSON.stringify(wrong)} is none.` }
}

const gatewaySubnet: FieldRule = {
  code: 'user-data.gateway-subnet',
  severity: 'error',
  summary:
    'The gateway of a static interface lies within the subnet of its address, and is not that address.',
  source: sources.installerReference,
  *check(document) {
    for (const { name, path, isStatic } of interfacesOf(document)) {
      const own = parseAddress(textAt(document, [...path, 'ipAddress']) ?? '')
      const gateway = textAt(document, [...path, 'gateway'])
      const bits = own?.prefix ?? parseMask(textAt(document, [...path, 'mask']) ?? '')
      if (!isStatic || own === undefined || gateway === undefined || bits === undefined) continue
      if (isIP(gateway) === 0) continue
      const subnet = `${own.address}/${bits}`
      if (gateway === own.address) {
        const message = `The gateway of ${name} is its own address. Name the router of the network.`
        yield { path: [...path, 'gateway'], message }
      } else if (!subnetContains({ ...own, prefix: bits }, gateway)) {
        const message = `The gateway ${gateway} is not in the subnet of ${subnet}. Correct the gateway, the address or the prefix length.`
        yield { path: [...path, 'gateway'], message }
      }
    }
  },
}

const maskConflict: FieldRule = {
  code: 'user-data.mask-conflict',
  severity: 'error',
  summary: 'A prefix length and a mask of one address agree.',
  source: sources.installerReference,
  *check(document) {
    for (const { path } of interfacesOf(document)) {
      const prefix = parseAddress(textAt(document, [...path, 'ipAddress']) ?? '')?.prefix
      const mask = parseMask(textAt(document, [...path, 'mask']) ?? '')
      if (prefix === undefined || mask === undefined || prefix === mask) continue
      const message = `The mask has ${mask} bits and the address says /${prefix}. Keep the one that is right.`
      yield { path: [...path, 'mask'], message }
    }
  },
}

const subnetAddress: FieldRule = {
  code: 'user-data.subnet-address',
  severity: 'warning',
  summary: 'The address of a host is not the network or the broadcast address of its subnet.',
  source: sources.installerReference,
  *check(document) {
    for (const { path, isStatic } of interfacesOf(document)) {
      const own = parseAddress(textAt(document, [...path, 'ipAddress']) ?? '')
      const edge = own?.prefix === undefined ? undefined : subnetEdge({ ...own, prefix: own.prefix })
      if (!isStatic || own === undefined || edge === undefined) continue
      const message = `${own.address} is the ${edge} address of its subnet. Give the host one between them.`
      yield { path: [...path, 'ipAddress'], message }
    }
  },
}

const duplicateAddress: FieldRule = {
  code: 'user-data.duplicate-address',
  severity: 'error',
  summary: 'Two interfaces do not share an address.',
  source: sources.installerReference,
  *check(document) {
    const seen = new Map<string, string>()
    for (const { name, path, isStatic } of interfacesOf(document)) {
      const own = parseAddress(textAt(document, [...path, 'ipAddress']) ?? '')
      if (!isStatic || own === undefined) continue
      const other = seen.get(own.address)
      if (other === undefined) seen.set(own.address, name)
      else {
        const message = `${other} and ${name} have the same address. Give each its own.`
        yield { path: [...path, 'ipAddress'], message }
      }
    }
  },
}

const unusedAddress: FieldRule = {
  code: 'user-data.unused-address',
  severity: 'warning',
  summary: 'An interface that uses DHCP has no address, mask or gateway of its own.',
  source: sources.installerReference,
  *check(document) {
    for (const { name, path, isStatic } of interfacesOf(document)) {
      if (isStatic) continue
      for (const field of ['ipAddress', 'mask', 'gateway']) {
        if (textAt(document, [...path, field]) === undefined) continue
        const message = `${field} has no effect: the interface ${name} uses DHCP. Set type to static, or remove it.`
        yield { path: [...path, field], on: 'key', message }
      }
    }
  },
}

/** The rules about network interfaces. */
export const interfaceRules: readonly FieldRule[] = [
  interfaceName,
  staticAddress,
  address,
  gatewaySubnet,
  maskConflict,
  subnetAddress,
  duplicateAddress,
  unusedAddress,
]
