import { ConfigurationError } from '@edgesmith/service/environment'
import { isLoopback } from '@edgesmith/service/listen-policy'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { Redis } from 'ioredis'
import { ApiKeys, hasUsableKey } from './api-keys.ts'
import { Authenticator } from './authenticator.ts'
import { ensureBootstrapKey, readBootstrapKey } from './bootstrap-key.ts'
import { OidcIssuer, type Fetch } from './oidc-issuer.ts'
import { readIssuersFile } from './oidc-settings.ts'
import { RecordCache } from './record-cache.ts'
import type { IdentitySettings } from './settings.ts'
import { ensureDefaultTenant, Tenants } from './tenants.ts'

/** Tenants, credentials, and what tells by them who makes a request. */
export type Identity = {
  readonly tenants: Tenants
  readonly keys: ApiKeys
  readonly authenticator: Authenticator
}

export type IdentityParts = {
  readonly store: ObjectStore
  readonly redis: Redis
  readonly settings: IdentitySettings
  /** How OIDC issuers are asked for their keys. */
  readonly fetch: Fetch
}

/**
 * Opens what is known of tenants and credentials: makes the default tenant and the key that the configuration
 * sets. `host` is where the service is going to listen.
 * @throws ConfigurationError when a setting has faults, or when other hosts could reach a service that lets
 * nobody in, and nobody was told how to change that
 */
export async function openIdentity(
  { store, redis, settings, fetch }: IdentityParts,
  host: string,
): Promise<Identity> {
  const { bootstrapKey, bootstrapKeyFile, oidcIssuersFile } = settings
  const bootstrap = await readBootstrapKey({ text: bootstrapKey, file: bootstrapKeyFile })
  const issuers = oidcIssuersFile === undefined ? [] : await readIssuersFile(oidcIssuersFile)
  if (!isLoopback(host) && bootstrap === undefined && issuers.length === 0 && !(await hasUsableKey(store))) {
    throw new ConfigurationError([
      `GATEWAY_HOST is ${host}, which other hosts can reach, and there are no credentials: set BOOTSTRAP_API_KEY, BOOTSTRAP_API_KEY_FILE or OIDC_ISSUERS_FILE first, or listen on 127.0.0.1`,
    ])
  }
  await ensureDefaultTenant(store)
  const cache = new RecordCache(redis)
  const tenants = new Tenants({ store, cache })
  const keys = new ApiKeys({ store, cache })
  if (bootstrap !== undefined) await ensureBootstrapKey(keys, bootstrap)
  const opened = issuers.map((issuer) => new OidcIssuer(issuer, { fetch }))
  return { tenants, keys, authenticator: new Authenticator({ keys, tenants, issuers: opened }) }
}
