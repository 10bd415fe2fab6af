import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { dataKey, recordImage } from '@edgesmith/artifacts/artifacts'
import type { Artifact } from '@edgesmith/contract/artifact'
import { objectManifest } from '@edgesmith/manifest/manifest'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { contents, makeNewLayout, makeOldLayout, openImageWorkshop } from '../../../libs/iso/test/images.ts'

export const buildId = '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11'
export const userDataPath = '/files-iso/config.yaml'
export const userData = contents[userDataPath]

export function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** ISO images as CanvOS makes them, with a squashfs, and every file of them by its path. */
export async function makeImages(): Promise<{
  images: { newLayout: Buffer; oldLayout: Buffer }
  files: Map<string, Buffer>
}> {
  await using workshop = await openImageWorkshop()
  const { directory } = workshop
  await mkdir(join(directory, 'root'))
  await writeFile(join(directory, 'root/os-release'), 'ID=kairos\n'.repeat(1000))
  const squashfs = join(directory, 'tree/rootfs.squashfs')
  await promisify(execFile)('mksquashfs', [join(directory, 'root'), squashfs, '-quiet', '-no-progress'])
  const files = new Map<string, Buffer>(Object.entries(contents))
  files.set('/rootfs.squashfs', await readFile(squashfs))
  return {
    images: {
      newLayout: await readFile(await makeNewLayout(directory)),
      oldLayout: await readFile(await makeOldLayout(directory)),
    },
    files,
  }
}

/** Records bytes as an image that was stamped: its SHA-256 is not known. */
export async function storeImage(store: ObjectStore, bytes: Buffer, name = 'site.iso'): Promise<Artifact> {
  const id = randomUUID()
  await store.put(dataKey(id), bytes)
  return recordImage(store, { id, buildId, name, manifest: objectManifest(dataKey(id), bytes.length) })
}
