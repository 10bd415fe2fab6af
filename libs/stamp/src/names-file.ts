import type { Volume } from '@edgesmith/iso/volume'

/** UCS-2 characters of a name that Joliet keeps (Joliet specification, 3); longer ones are cut by the tool. */
const jolietNameLength = 64

/**
 * Tells whether the path that a tree gives an entry is that of a file. Joliet trees may have cut a long name,
 * keeping its beginning or its extension as they please: such a name is taken for any other cut one.
 */
export function namesFile(kind: Volume['kind'], entryPath: string, path: string): boolean {
  if (kind === 'primary') return entryPath === path
  const [names, wanted] = [entryPath.split('/'), path.split('/')]
  return (
    names.length === wanted.length &&
    wanted.every((name, index) => {
      const actual = names[index] ?? ''
      return name === actual || (name.length > jolietNameLength && actual.length >= jolietNameLength - 1)
    })
  )
}
