import { list, type Environment } from '@edgesmith/service/environment'
import { parseAllowance, type Allowance } from './address-policy.ts'

/** The environment variable of what may be called. */
export const outgoingVariables = {
  OUTGOING_ALLOW: list({
    default: [],
    description:
      'What the service may call though it is no public address, such as an OIDC issuer inside: addresses, networks such as `10.1.0.0/16` and host names, each with or without a port (`host:port`, `[address]:port`). Public addresses need not be listed.',
  }),
}

/** What the environment allows to be called; entries that are none are added to `faults`. */
export function toAllowances(
  { OUTGOING_ALLOW: entries }: Environment<typeof outgoingVariables>,
  faults: string[],
): Allowance[] {
  return entries.flatMap((entry) => {
    const allowance = parseAllowance(entry)
    if (allowance === undefined) {
      faults.push(
        `OUTGOING_ALLOW has ${JSON.stringify(entry)}, which is no address, network or host name, with or without a port`,
      )
      return []
    }
    return [allowance]
  })
}
