import { Readable } from 'node:stream'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { commitUpload, stageUpload } from '@edgesmith/uploads/uploads'

/** Makes the user-data of a site an upload, for a build that takes it like any other file. */
export async function commitUserData(store: ObjectStore, userData: Buffer): Promise<void> {
  const staged = await stageUpload(store, Readable.from([userData]), { limitBytes: userData.length })
  await commitUpload(store, staged, { fileName: 'user-data' })
}
