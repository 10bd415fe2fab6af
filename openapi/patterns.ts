import { analyse } from 'scslre'

/**
 * The `pattern`s of a document on which a text can be found that takes a backtracking matcher, as JavaScript's and
 * those of many clients are, more than a time that grows with its length: each with where it is.
 */
export function findSlowPatterns(value: unknown, pointer = '#'): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, child]: [string, unknown]) => {
    const at = `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
    if (key !== 'pattern' || typeof child !== 'string') return findSlowPatterns(child, at)
    // Texts are matched from wherever an unanchored pattern can begin: that is counted too.
    const { reports } = analyse(new RegExp(child, 'u'), { assumeRejectingSuffix: true })
    return reports.map(
      ({ character }) => `${at}: many ${character.literal.source} make the pattern slow (pattern-linear)`,
    )
  })
}
