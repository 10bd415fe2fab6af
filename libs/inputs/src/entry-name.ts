import { ArchiveFault } from './archive-fault.ts'

// Printable ASCII without what shells, globs and Earthly's COPY give a meaning.
const plainSegment = /^[A-Za-z0-9 ._+@%=:,~^()#[\]{}-]+$/

/** Longest name of an entry, in characters. */
const maximumLength = 1024

/**
 * The name of an entry as a path below the root of its archive, without a leading `./` and a final slash;
 * '' for the root itself.
 * @throws ArchiveFault `archive.absolute-path`, `archive.parent-path`, `archive.odd-name`
 */
export function entryPath(name: string | undefined): string {
  if (name === undefined) {
    throw new ArchiveFault(
      'archive.odd-name',
      'The archive has a file whose name is not UTF-8. Give it a plain ASCII name.',
    )
  }
  if (name.startsWith('/')) {
    throw new ArchiveFault(
      'archive.absolute-path',
      `The archive has the absolute path ${shown(name)}. Pack it with relative paths: tar -C directory -cf file.tar name.`,
    )
  }
  const segments = name.replace(/(?<!\/)\/+$/, '').split('/')
  if (segments.includes('..')) {
    throw new ArchiveFault(
      'archive.parent-path',
      `The archive has the path ${shown(name)}, which leads out of its root. Pack it again without "..".`,
    )
  }
  const kept = segments.filter((segment, index) => segment !== '.' && (segment !== '' || index > 0))
  const odd = kept.find((segment) => !plainSegment.test(segment) || segment.startsWith('-'))
  if (odd !== undefined || name.length > maximumLength) {
    throw new ArchiveFault(
      'archive.odd-name',
      `The archive has a file with the name ${shown(name)}. Rename it: ASCII letters, digits and ._+@%=:,~^()#[]{}- at the most, no "-" at the front.`,
    )
  }
  return kept.join('/')
}

/** A name for a message: quoted, shortened, and with everything but printable ASCII escaped. */
export function shown(name: string): string {
  const short = name.length > 120 ? `${name.slice(0, 120)}…` : name
  return JSON.stringify(short).replaceAll(
    /[^\x20-\x7e…]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
}
