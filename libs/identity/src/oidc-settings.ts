import { readFile } from 'node:fs/promises'
import { ConfigurationError } from '@edgesmith/service/environment'
import { isLoopback } from '@edgesmith/service/listen-policy'
import { schemaFaults } from '@edgesmith/service/request-validation'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { ClaimRule } from './claim-rules.ts'

/** Algorithms whose verifier holds a public key alone (RFC 7518, section 3.1; RFC 8037). */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

const HttpUrl = Type.String({ pattern: '^https?://[^\\s]+$', maxLength: 300 })

/** An issuer of OIDC tokens, and who of those it vouches for is let in. */
export const OidcIssuerSettings = Type.Object(
  {
    issuer: { ...HttpUrl, description: 'The `iss` of its tokens, to the letter.' },
    audience: Type.Union(
      [Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })],
      {
        description: 'The `aud` that tokens for this service have: one of these.',
      },
    ),
    jwksUri: Type.Optional({ ...HttpUrl, description: 'Its keys; found by discovery when left out.' }),
    algorithms: Type.Array(Type.Enum(algorithms), { minItems: 1, uniqueItems: true, default: ['RS256'] }),
    clockToleranceSeconds: Type.Integer({ default: 30, minimum: 0, maximum: 300 }),
    rules: Type.Array(ClaimRule, { minItems: 1, maxItems: 1000 }),
  },
  { additionalProperties: false },
)
export type OidcIssuerSettings = Static<typeof OidcIssuerSettings>

/** What is in the file that `OIDC_ISSUERS_FILE` names. */
const OidcIssuersFile = Type.Object(
  { issuers: Type.Array(OidcIssuerSettings, { minItems: 1, maxItems: 20 }) },
  { additionalProperties: false },
)

/** Reads the issuers whose tokens are accepted. @throws ConfigurationError naming every fault of the file */
export async function readIssuersFile(file: string): Promise<OidcIssuerSettings[]> {
  const told = (fault: string) => `OIDC_ISSUERS_FILE ${file}: ${fault}`
  let content: unknown
  try {
    content = Value.Default(OidcIssuersFile, JSON.parse(await readFile(file, 'utf8')))
  } catch (error) {
    throw new ConfigurationError([told(error instanceof Error ? error.message : String(error))])
  }
  const faults = schemaFaults(OidcIssuersFile, content).map(
    ({ pointer = '', message }) => `${pointer} ${message}`,
  )
  if (faults.length > 0 || !Value.Check(OidcIssuersFile, content))
    throw new ConfigurationError(faults.map(told))
  const { issuers } = content
  const more = [...insecureUrls(issuers), ...repeated(issuers.map(({ issuer }) => issuer))]
  if (more.length > 0) throw new ConfigurationError(more.map(told))
  return issuers
}

/** Whoever can change what an issuer answers can make its keys: HTTP is for this machine alone. */
function insecureUrls(issuers: readonly OidcIssuerSettings[]): string[] {
  return issuers
    .flatMap(({ issuer, jwksUri }) => [issuer, ...(jwksUri === undefined ? [] : [jwksUri])])
    .filter((url) => !isSecure(url))
    .map((url) => `${url} is no HTTPS URL`)
}

/** Whether nobody on the way can change what a URL answers. */
export function isSecure(url: string): boolean {
  const parsed = URL.parse(url)
  return (
    parsed?.protocol === 'https:' ||
    (parsed !== null && isLoopback(parsed.hostname.replace(/^\[(.*)\]$/, '$1')))
  )
}

function repeated(names: readonly string[]): string[] {
  return names.filter((name, index) => names.indexOf(name) !== index).map((name) => `${name} is there twice`)
}
