import { buffer } from 'node:stream/consumers'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { StoredInput } from '@edgesmith/contract/validation'
import type { ObjectStore } from '@edgesmith/store/object-store'

/** Most bytes of a text input that are read into memory: twice what Kairos takes as user-data. */
const limitBytes = 2 * 1024 * 1024

/** Reads an input that is text; a file too large to be one is not read, and a diagnostic says so. */
export async function readSmallInput(
  store: ObjectStore,
  input: StoredInput,
): Promise<{ bytes: Buffer | undefined; diagnostics: Diagnostic[] }> {
  if (input.size <= limitBytes)
    return { bytes: await buffer(await store.get(input.objectKey)), diagnostics: [] }
  return {
    bytes: undefined,
    diagnostics: [
      {
        severity: 'error',
        code: 'input.too-large',
        message: `The file has ${input.size} bytes; ${limitBytes} at the most are possible here. Send the right file as "${input.role}".`,
        source: input.role,
      },
    ],
  }
}
