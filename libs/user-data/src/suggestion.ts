import { distance } from 'fastest-levenshtein'
import { toDotted, type Path } from './path.ts'
import { stageNames } from './schema/stages.ts'
import type { JsonSchema } from './shape.ts'

/** The name nearest to a misspelled one; undefined where none is near. Case does not count. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > 64) return undefined
  const lower = name.toLowerCase()
  let nearest: string | undefined
  let least = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const steps = distance(lower, candidate.toLowerCase())
    if (steps < least) {
      least = steps
      nearest = candidate
    }
  }
  return nearest
}

/** Advice for a field that is not known where it stands: its place, or the name it is nearest to. */
export function suggestField(root: JsonSchema, parent: Path, key: string): string {
  if (parent.length === 0 && isStage(key)) return `It is a stage: write it below stages.`
  const siblings = Object.keys(propertiesAt(root, parent))
  const lower = key.toLowerCase()
  const sameWord = siblings.find((sibling) => sibling.toLowerCase() === lower)
  if (sameWord !== undefined) return `Did you mean ${sameWord}?`
  const elsewhere = placesOf(root, key)
  if (elsewhere.length > 0 && elsewhere.length <= 3) return `Did you mean ${elsewhere.join(', or ')}?`
  const nearest = nearestName(key, siblings)
  return nearest === undefined ? 'Check its name and its place, or remove it.' : `Did you mean ${nearest}?`
}

/** True for a stage of the host, and for `.before` and `.after` of one. */
export function isStage(name: string): boolean {
  const bare = name.replace(/\.(?:before|after)$/, '')
  return (
    Object.hasOwn(stageNames, name) ||
    Object.hasOwn(stageNames, bare) ||
    /^provider-kairos\.bootstrap\.(?:before|after)\.[a-z]+$/.test(name)
  )
}

function propertiesAt(root: JsonSchema, path: Path): Readonly<Record<string, JsonSchema>> {
  let schema: JsonSchema | undefined = root
  for (const segment of path) {
    const options: readonly JsonSchema[] = schema?.anyOf ?? (schema === undefined ? [] : [schema])
    schema = options.map((option) => child(option, segment)).find((found) => found !== undefined)
  }
  return schema?.properties ?? {}
}

function child(schema: JsonSchema, segment: string | number): JsonSchema | undefined {
  if (typeof segment === 'number') return schema.items
  const { properties = {}, additionalProperties } = schema
  if (Object.hasOwn(properties, segment)) return properties[segment]
  return typeof additionalProperties === 'object' ? additionalProperties : undefined
}

/** The places below `stylus` and `install` where the schema knows a field of this name. */
function placesOf(root: JsonSchema, key: string): string[] {
  const places: string[] = []
  for (const top of ['stylus', 'install']) {
    const schema = root.properties?.[top]
    if (schema !== undefined) collect(schema, [top])
  }
  return places

  function collect(schema: JsonSchema, path: Path): void {
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      if (name === key) places.push(toDotted([...path, name]))
      collect(field, [...path, name])
    }
  }
}
