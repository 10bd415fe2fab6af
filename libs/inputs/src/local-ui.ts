import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { inspectArchive } from './archive.ts'
import { ObjectReader } from './byte-reader.ts'
import { finding } from './finding.ts'
import type { StoredFile } from './stored-file.ts'

/** Checks the tar of the Local UI, which CanvOS unpacks into the root file system (CanvOS `Earthfile`). */
export async function checkLocalUi(store: ObjectStore, file: StoredFile): Promise<Diagnostic[]> {
  let files = 0
  const diagnostics = await inspectArchive(file, new ObjectReader(store, file), ({ isDirectory }) => {
    if (!isDirectory) files += 1
    return true
  })
  if (diagnostics.length > 0 || files > 0) return diagnostics
  return [finding(file, 'archive.empty', 'local-ui.tar has no file. Download it again.')]
}
