import { setUpVariables } from '../../support/environment.ts'
import { setUp } from '../../support/set-up.ts'

/** Sets up what tests need, unless the environment says that it was. */
export async function ensureSetUp(): Promise<void> {
  const isThere = Object.keys(setUpVariables).every((name) => process.env[name] !== undefined)
  if (!isThere) Object.assign(process.env, await setUp())
}
