import { Readable } from 'node:stream'
import type { LaidFile } from '@edgesmith/canvos/workspace'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { edgeCustomConfigOf, readPublicKey } from './public-key.ts'
import { readSmallFile, type StoredFile } from './stored-file.ts'
import { frameRaw, rawFrameSize } from './zstd.ts'

/** The bytes of a laid file: how many there will be, and how to get them. */
export type LaidContent = {
  /** Size in bytes; the stream gives exactly as many. */
  size: number
  /** @throws NoSuchObject when the store no longer has the input */
  open: () => Promise<Readable>
}

/**
 * The content of a file that `layoutInputs` places: a part of the input, the input in another form, or
 * the input as it is. It is streamed in constant memory.
 * @throws NoSuchObject, Error when a key cannot be read that was valid when the build was submitted
 */
export async function laidContent(
  store: ObjectStore,
  { source, range, transform }: LaidFile<StoredFile>,
): Promise<LaidContent> {
  switch (transform) {
    case 'zstd-frame':
      return {
        size: rawFrameSize(source.size),
        open: async () => frameRaw(await store.get(source.objectKey), source.size),
      }
    case 'edge-custom-config': {
      const { bytes } = await readSmallFile(store, source)
      const { key } = bytes === undefined ? {} : readPublicKey(source, bytes)
      if (key === undefined) throw new Error(`The input ${source.pointer} holds no public key.`)
      const config = Buffer.from(edgeCustomConfigOf(key))
      return {
        size: config.length,
        open: () => Promise.resolve(Readable.from([config], { objectMode: false })),
      }
    }
    case undefined:
      return { size: range?.length ?? source.size, open: () => store.get(source.objectKey, range) }
  }
}
