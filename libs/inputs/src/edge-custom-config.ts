import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { readYaml } from '@edgesmith/yaml/read-yaml'
import { LineCounter, type Document } from 'yaml'
import { finding } from './finding.ts'
import { shown } from './entry-name.ts'
import { readPublicKey, type ReadKey } from './public-key.ts'
import type { StoredFile } from './stored-file.ts'

const keyPath = ['content', 'signing', 'publicKey']

/**
 * Checks an `.edge-custom-config.yaml` and reads the public key in it.
 *
 * Source: CanvOS `.edge-custom-config.yaml.template`; "Embed a Public Key in Edge Artifacts".
 */
export function readEdgeCustomConfig(file: StoredFile, bytes: Buffer): ReadKey {
  const lineCounter = new LineCounter()
  const { document, faults } = readYaml(bytes.toString('utf8'), lineCounter)
  if (faults.length > 0) {
    const diagnostics = faults.map((fault) => {
      const { line, col } = lineCounter.linePos(fault.offset)
      const message = `The edge custom configuration is not valid YAML: ${fault.message} Correct it.`
      return finding(file, 'edge-custom-config.syntax', message, { line, column: col })
    })
    return { diagnostics }
  }
  const root: unknown = toPlain(document)
  const diagnostics = unknownFields(file, root)
  const publicKey = at(root, keyPath)
  const value = at(publicKey, ['base64EncodedValue'])
  if (typeof value !== 'string' || value.trim() === '') {
    const message =
      'The edge custom configuration has no public key. Set content.signing.publicKey.base64EncodedValue to the PEM file in base64 (base64 -w 0 key.pem), or send the key itself as publicKey.'
    return { diagnostics: [...diagnostics, finding(file, 'edge-custom-config.missing-key', message)] }
  }
  const read = readPublicKey(file, Buffer.from(value))
  return { ...read, diagnostics: [...diagnostics, ...read.diagnostics] }
}

/** Aliases have no place in it, and unfolding them could take for ever. */
function toPlain(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 })
  } catch (error) {
    if (error instanceof ReferenceError) return undefined
    throw error
  }
}

/** What the agent does not know it ignores: most likely a misspelled field. */
function unknownFields(file: StoredFile, root: unknown): Diagnostic[] {
  const known: [path: string[], fields: string[]][] = [
    [[], ['content']],
    [['content'], ['signing']],
    [['content', 'signing'], ['publicKey']],
    [keyPath, ['base64EncodedValue', 'description']],
  ]
  return known.flatMap(([path, fields]) =>
    Object.keys(asRecord(at(root, path)))
      .filter((field) => !fields.includes(field))
      .slice(0, 10)
      .map((field) => {
        const message = `${shown([...path, field].join('.'))} is not a known field. Known here: ${fields.join(', ')}.`
        return finding(file, 'edge-custom-config.unknown-field', message)
      }),
  )
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((found, field) => asRecord(found)[field], value)
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}
