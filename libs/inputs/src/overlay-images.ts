import { isAllowedImage, type AllowedImages } from '@edgesmith/canvos/allowed-images'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { finding } from './finding.ts'
import { dockerfileLimit } from './overlay.ts'
import { readRange, type StoredFile } from './stored-file.ts'

/**
 * Finds the images of an overlay's Dockerfile that are not allowed: those of `FROM`, `COPY --from`,
 * `RUN --mount=…,from=` and of the `syntax` directive. One that an argument names cannot be judged here,
 * and is none; `$BASE` is CanvOS's own.
 */
export async function checkOverlayImages(
  store: ObjectStore,
  file: StoredFile,
  allowed: AllowedImages,
): Promise<Diagnostic[]> {
  const dockerfile = file.members?.find(({ path }) => path === 'Dockerfile')
  if (allowed.length === 0 || dockerfile === undefined) return []
  const { offset, size } = dockerfile
  if (size > dockerfileLimit) {
    const message = `The Dockerfile is larger than ${dockerfileLimit} bytes, and its images cannot be looked at.`
    return [finding(file, 'overlay.image-not-allowed', message)]
  }
  const bytes = await readRange(store, file, { offset, length: size })
  return foreignImages(bytes.toString('utf8'), allowed).map((image) =>
    finding(
      file,
      'overlay.image-not-allowed',
      `The Dockerfile uses ${image}, which is not among the images that builds may use: ${allowed.join(', ')} (ALLOWED_IMAGES).`,
    ),
  )
}

/** The images of a Dockerfile that are not allowed. */
export function foreignImages(dockerfile: string, allowed: AllowedImages): string[] {
  // Continued lines are one; a mark that ends lines otherwise could hide one.
  const lines = dockerfile.replaceAll(/[\\`][ \t]*\r?\n/g, ' ').split(/\r?\n/)
  const stages = new Set(['scratch', '$base', '${base}'])
  const foreign: string[] = []
  const judge = (image: string) => {
    const name = image.replaceAll(/["']/g, '')
    if (!stages.has(name.toLowerCase()) && !/^\d+$/.test(name) && !isAllowedImage(name, allowed))
      foreign.push(name)
  }
  for (const line of lines) {
    const syntax = /^\s*(?:#|\/\/)\s*syntax\s*=\s*(\S+)/i.exec(line)?.[1]
    if (syntax !== undefined) judge(syntax)
    const from = /^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?/i.exec(line)
    if (from?.[1] !== undefined) judge(from[1])
    if (from?.[2] !== undefined) stages.add(from[2].toLowerCase())
    if (/^\s*(?:ONBUILD\s+)?(?:COPY|ADD|RUN)\s/i.test(line)) {
      for (const [, option, mount] of line.matchAll(/--from=(\S+)|--mount=\S*?\bfrom=([^,\s]+)/gi)) {
        judge(option ?? mount ?? '')
      }
    }
  }
  return foreign
}
