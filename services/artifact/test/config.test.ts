import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConfigurationError } from '@edgesmith/service/environment'
import { readEnv, toConfig } from '../src/config.ts'

const environment = {
  OBJECT_STORE: 'directory',
  OBJECT_DIRECTORY: '.',
  SIGNING_KEYS: 'k'.repeat(32),
  SERVICE_TLS_DIRECTORY: '.',
}

describe('the configuration of the artifact service', () => {
  it('takes addresses, networks and known names as trusted proxies', () => {
    const TRUSTED_PROXIES = 'loopback, 10.0.0.7,10.1.0.0/16, 2001:db8::/48,uniquelocal'
    assert.deepEqual(toConfig(readEnv({ ...environment, TRUSTED_PROXIES })).trustedProxies, [
      'loopback',
      '10.0.0.7',
      '10.1.0.0/16',
      '2001:db8::/48',
      'uniquelocal',
    ])
    assert.deepEqual(toConfig(readEnv(environment)).trustedProxies, [])
  })

  for (const proxy of [
    'everyone',
    '10.0.0.0/33',
    '0.0.0.0/0',
    '10.0.0',
    'proxy.example.com',
    '::/129',
    '::1/',
  ]) {
    it(`refuses ${proxy} as a trusted proxy`, () => {
      assert.throws(
        () => toConfig(readEnv({ ...environment, TRUSTED_PROXIES: `loopback,${proxy}` })),
        (error) => error instanceof ConfigurationError && error.message.includes(JSON.stringify(proxy)),
      )
    })
  }
})
