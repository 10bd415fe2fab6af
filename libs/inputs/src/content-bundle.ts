import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { sniffContentKind } from '@edgesmith/uploads/content-kind'
import { finding } from './finding.ts'
import { readRange, type StoredFile } from './stored-file.ts'
import { blockSize, decodeTarHeader } from './tar-header.ts'
import { rawFrameSize, unpackedHead } from './zstd.ts'

/** Size in bytes of the parts that CanvOS splits bundles into (CanvOS `Earthfile`, `split --bytes=3GB`). */
export const bundlePartSize = 3_000_000_000

/** Bytes of a Zstandard file in which its first block is complete. */
const headSize = 1024 * 1024

/** Tells what becomes of a content bundle, and what is odd about it; its tar was judged by `withMembers`. */
export async function checkContentBundle(store: ObjectStore, file: StoredFile): Promise<Diagnostic[]> {
  if (file.kind === 'tar') {
    if (file.members !== undefined) {
      return file.members.flatMap(({ size, path }) => splitting(file, size, `The bundle ${path}`))
    }
    const message =
      'The bundle is a plain tar, which CanvOS would leave out. It goes into the build as it is, wrapped in a Zstandard frame, with the ending .zst.'
    return [
      finding(file, 'content-bundle.wrapped', message),
      ...splitting(file, rawFrameSize(file.size), 'The bundle'),
    ]
  }
  if (file.kind !== 'zstd') return []
  return [...(await notATar(store, file)), ...splitting(file, file.size, 'The bundle')]
}

function splitting(file: StoredFile, size: number, what: string): Diagnostic[] {
  const parts = Math.ceil(size / bundlePartSize)
  if (parts <= 1) return []
  const message = `${what} has ${size} bytes. CanvOS puts it on the ISO in ${parts} parts of up to ${bundlePartSize} bytes.`
  return [finding(file, 'content-bundle.split', message)]
}

async function notATar(store: ObjectStore, file: StoredFile): Promise<Diagnostic[]> {
  const head = await readRange(store, file, { offset: 0, length: Math.min(file.size, headSize) })
  const isWhole = head.length === file.size
  const unpacked = await unpackedHead(head, blockSize)
  if (decodeTarHeader(unpacked) !== undefined || (unpacked.length < blockSize && !isWhole)) return []
  const kind = sniffContentKind(unpacked, { isWhole: false })
  const found = kind === 'zstd' || kind === 'gzip' ? `a ${kind} file` : 'something else'
  const message = `The Zstandard file holds ${found}, where Palette’s bundles hold a tar. Make sure that it is a content bundle.`
  return [finding(file, 'content-bundle.not-a-tar', message)]
}
