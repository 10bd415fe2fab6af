import { buffer } from 'node:stream/consumers'
import type { WorkspaceInput } from '@edgesmith/canvos/workspace'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { ByteRange, ObjectStore } from '@edgesmith/store/object-store'
import { finding } from './finding.ts'

/** An input and where the store has its bytes. */
export type StoredFile = WorkspaceInput & {
  readonly objectKey: string
  /** Size in bytes. */
  readonly size: number
}

/** Most bytes of an input that is read as a whole. */
const smallFileLimit = 2 * 1024 * 1024

/** Reads an input that can only be small: undefined, with a diagnostic, when it is not. */
export async function readSmallFile(
  store: ObjectStore,
  file: StoredFile,
): Promise<{ bytes: Buffer; diagnostics: [] } | { bytes: undefined; diagnostics: Diagnostic[] }> {
  if (file.size <= smallFileLimit) {
    return { bytes: await readRange(store, file, { length: file.size }), diagnostics: [] }
  }
  const message = `The file has ${file.size} bytes; ${smallFileLimit} at the most are possible here. Send the right file as "${file.role}".`
  return { bytes: undefined, diagnostics: [finding(file, 'input.too-large', message)] }
}

/** The bytes of a part of an input, by default of the whole. */
export async function readRange(
  store: ObjectStore,
  file: Pick<StoredFile, 'objectKey'>,
  range?: ByteRange,
): Promise<Buffer> {
  return buffer(await store.get(file.objectKey, range))
}
