import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'

/** What is looked at of a `package-lock.json` (npm documentation, "package-lock.json"). */
const LockFile = Type.Object({
  lockfileVersion: Type.Literal(3),
  packages: Type.Record(
    Type.String(),
    Type.Object({
      name: Type.Optional(Type.String()),
      version: Type.Optional(Type.String()),
      resolved: Type.Optional(Type.String()),
      integrity: Type.Optional(Type.String()),
      link: Type.Optional(Type.Boolean()),
      hasInstallScript: Type.Optional(Type.Boolean()),
    }),
  ),
})

const PackageJson = Type.Object({ allowScripts: Type.Optional(Type.Record(Type.String(), Type.Boolean())) })

/** A package of the lock file; those of this repository have no `integrity`. */
export type LockedPackage = {
  readonly path: string
  readonly name: string
  readonly version: string
  /** Whether it is one of this repository's own. */
  readonly isOwn: boolean
  readonly resolved: string | undefined
  readonly integrity: string | undefined
  readonly hasInstallScript: boolean
}

/** The packages that a directory's lock file names, the root itself left out. */
export async function readLockFile(directory: string): Promise<LockedPackage[]> {
  const { packages } = parse(LockFile, await readFile(join(directory, 'package-lock.json'), 'utf8'))
  return Object.entries(packages)
    .filter(([path, { link }]) => path !== '' && link !== true)
    .map(([path, entry]) => ({
      path,
      name: entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version: entry.version ?? '',
      isOwn: !path.includes('node_modules/'),
      resolved: entry.resolved,
      integrity: entry.integrity,
      hasInstallScript: entry.hasInstallScript ?? false,
    }))
}

/**
 * What a lock file lacks: the bytes of every package are told by their SHA-512 and come from the npm registry,
 * and it is decided of every package with an install script whether that may run.
 */
export async function lockFileFaults(directory: string): Promise<string[]> {
  const packageJson = parse(PackageJson, await readFile(join(directory, 'package.json'), 'utf8'))
  const faults: string[] = []
  for (const { path, name, isOwn, resolved, integrity, hasInstallScript } of await readLockFile(directory)) {
    if (isOwn) continue
    if (integrity?.startsWith('sha512-') !== true) faults.push(`${path} has no SHA-512 in the lock file`)
    // npm leaves `resolved` out where it is the registry's own (`omit-lockfile-registry-resolved`).
    if (resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/')) {
      faults.push(`${path} comes from ${resolved}, not from the npm registry`)
    }
    if (hasInstallScript && packageJson.allowScripts?.[name] === undefined) {
      faults.push(`${name} has an install script; say in allowScripts of package.json whether it may run`)
    }
  }
  return faults
}

function parse<Schema extends Type.TSchema>(schema: Schema, json: string): Static<Schema> {
  return Value.Parse(schema, JSON.parse(json))
}
