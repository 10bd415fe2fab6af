import { extname } from 'node:path'

/** Media types of what CanvOS leaves in `build/`, by file name extension. */
const mediaTypes: Readonly<Record<string, string>> = {
  '.iso': 'application/x-iso9660-image',
  '.sha256': 'text/plain',
  '.log': 'text/plain',
  '.txt': 'text/plain',
  '.json': 'application/json',
  '.yaml': 'application/yaml',
  '.yml': 'application/yaml',
  '.tar': 'application/x-tar',
  '.gz': 'application/gzip',
  '.tgz': 'application/gzip',
  '.zst': 'application/zstd',
  '.raw': 'application/octet-stream',
  '.img': 'application/octet-stream',
}

/** The media type of a file by its name; `application/octet-stream` where the name does not tell. */
export function mediaTypeOf(fileName: string): string {
  return mediaTypes[extname(fileName).toLowerCase()] ?? 'application/octet-stream'
}
