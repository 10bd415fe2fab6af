import type { ClusterDefinition } from '@edgesmith/contract/validation'

type Profile = ClusterDefinition['profiles'][number]

/** Most values of a document that are looked at. */
const maximumValues = 200_000

/** Longest name and version that are told, in characters. */
const maximumLength = 200

/**
 * Finds what looks like a cluster profile in a JSON document: an object with packs and a name. Palette does
 * not document the files of a cluster definition, so this goes by the models of its API.
 *
 * Source: Palette API, `V1ClusterProfileTemplate` (`name`, `packs`, `profileVersion`, `version`) and
 * `V1ClusterProfile` (`metadata.name`, `spec.published.packs`, `spec.version`).
 */
export function findProfiles(document: unknown): Profile[] {
  const profiles = new Map<string, Profile>()
  const pending: { value: unknown; parents: readonly unknown[] }[] = [{ value: document, parents: [] }]
  for (let count = 0; pending.length > 0 && count < maximumValues; count += 1) {
    const { value, parents } = pending.pop() ?? {}
    if (typeof value !== 'object' || value === null) continue
    if (Array.isArray((value as { packs?: unknown }).packs)) {
      const profile = profileOf([value, ...(parents ?? [])])
      if (profile !== undefined) profiles.set(`${profile.name} ${profile.version ?? ''}`, profile)
    }
    // Three levels up are as far as `metadata` is from `spec.published.packs`.
    const nearest = Array.isArray(value) ? [] : [value, ...(parents ?? [])].slice(0, 3)
    for (const child of Object.values(value)) pending.push({ value: child, parents: nearest })
  }
  return [...profiles.values()].sort((one, other) => (one.name < other.name ? -1 : 1))
}

/** A profile by the object with its packs and those around it, the nearest first. */
function profileOf(objects: readonly unknown[]): Profile | undefined {
  const name = objects
    .map((object) => text(object, 'name') ?? text(field(object, 'metadata'), 'name'))
    .find(isSet)
  if (name === undefined) return undefined
  const version = objects
    .map((object) => text(object, 'profileVersion') ?? text(object, 'version'))
    .find(isSet)
  return { name, ...(version === undefined ? {} : { version }) }
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== ''
}

function field(object: unknown, name: string): unknown {
  return typeof object === 'object' && object !== null && Object.hasOwn(object, name)
    ? (object as Record<string, unknown>)[name]
    : undefined
}

function text(object: unknown, name: string): string | undefined {
  const value = field(object, name)
  const isScalar = typeof value === 'string' || typeof value === 'number'
  return isScalar ? String(value).slice(0, maximumLength) : undefined
}
