import { optional, text, type Environment } from '@edgesmith/service/environment'

/** The environment variables of who is let in. */
export const identityVariables = {
  BOOTSTRAP_API_KEY: optional(
    text({
      secret: true,
      description:
        'An API key of the operator of the service, `esk_<16 hex digits>_<64 hex digits>`, with which the others are made. Another value replaces it.',
    }),
  ),
  BOOTSTRAP_API_KEY_FILE: optional(
    text({ description: 'File that has the key, in place of `BOOTSTRAP_API_KEY`.' }),
  ),
  OIDC_ISSUERS_FILE: optional(
    text({ description: 'JSON file of the OIDC issuers whose tokens are accepted: `docs/identity.md`.' }),
  ),
}

/** Who is let in, as the configuration says it. */
export type IdentitySettings = {
  readonly bootstrapKey?: string | undefined
  readonly bootstrapKeyFile?: string | undefined
  readonly oidcIssuersFile?: string | undefined
}

/** The settings that the environment names; what is wrong with them is added to `faults`. */
export function toIdentitySettings(
  environment: Environment<typeof identityVariables>,
  faults: string[],
): IdentitySettings {
  if (environment.BOOTSTRAP_API_KEY !== undefined && environment.BOOTSTRAP_API_KEY_FILE !== undefined) {
    faults.push('BOOTSTRAP_API_KEY and BOOTSTRAP_API_KEY_FILE are both set; set one of them')
  }
  return {
    bootstrapKey: environment.BOOTSTRAP_API_KEY,
    bootstrapKeyFile: environment.BOOTSTRAP_API_KEY_FILE,
    oidcIssuersFile: environment.OIDC_ISSUERS_FILE,
  }
}
