import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, type ParsedNode, type YAMLMap } from 'yaml'
import { isMapping, type Path } from './path.ts'
import type { TextFault } from './text.ts'
import { versionDifference } from './yaml-version.ts'
import { maxAliasedValues, yamlRules } from './yaml-rules.ts'

type Anchor = { node: Node; value: unknown; values: number; complete: boolean }

/** Keys whose values are file modes: every reader takes their leading zero as octal, as it is meant. */
const fileModes = new Set(['permissions'])

/** Keys whose values are dates, which every reader of them takes as the text it is. */
const dates = new Set(['passwordExpiry'])

/**
 * A YAML document as plain values, with the way back from a value to its place in the text.
 * Mappings become objects, aliases the value of their anchor, merge keys are merged.
 * A value that cannot be known (an alias without an anchor) is undefined.
 */
export class Tree {
  /** The plain value; undefined where aliases go beyond their limit. */
  readonly value: unknown
  /** What is wrong with keys, aliases and values that depend on the YAML version. */
  readonly faults: TextFault[] = []
  readonly #root: ParsedNode | null
  readonly #anchors = new Map<string, Anchor>()
  readonly #targets = new Map<Node, Node>()
  readonly #path: (string | number)[] = []
  #values = 0
  #aliased = 0

  constructor(root: ParsedNode | null) {
    this.#root = root
    const value = this.#read(root, undefined)
    this.value = this.#aliased > maxAliasedValues ? undefined : value
  }

  /**
   * The offset of a value in the text, or of its key. Values without text of their own (null,
   * collections) are pointed at by their key. Where a path ends early, what it reaches is meant.
   */
  offset(path: Path, on: 'key' | 'value' = 'value'): number {
    let node: Node | null | undefined = this.#root
    let offset = start(node) ?? 0
    for (const [index, segment] of path.entries()) {
      const viaAlias = isAlias(node)
      if (isAlias(node)) node = this.#targets.get(node)
      const last = index === path.length - 1
      if (isMap(node)) {
        const pair: Pair | undefined = this.#pair(node, String(segment))
        if (pair === undefined) return offset
        const key = start(pair.key as Node) ?? offset
        node = pair.value as Node | null
        const ownText = isScalar(node) && node.source !== '' && node.value !== null
        if (!viaAlias) offset = last && on === 'value' && ownText ? (start(node) ?? key) : key
      } else if (isSeq(node)) {
        node = node.items[Number(segment)] as Node | undefined
        if (!viaAlias) offset = start(node) ?? offset
      } else return offset
      if (viaAlias) return offset
    }
    return offset
  }

  #pair(map: YAMLMap, key: string): Pair | undefined {
    const own = map.items.findLast((pair) => this.#keyText(pair.key as Node | null) === key)
    if (own !== undefined) return own
    for (const pair of map.items) {
      if (this.#keyText(pair.key as Node | null) !== '<<') continue
      const merged = pair.value as Node | null
      const source = isAlias(merged) ? this.#targets.get(merged) : merged
      for (const candidate of isSeq(source) ? source.items : [source]) {
        const node = isAlias(candidate) ? this.#targets.get(candidate) : candidate
        const found = isMap(node) ? this.#pair(node, key) : undefined
        if (found !== undefined) return found
      }
    }
    return undefined
  }

  #keyText(node: Node | null): string | undefined {
    const key = isAlias(node) ? this.#targets.get(node) : node
    if (!isScalar(key) || key.value === null) return undefined
    return typeof key.value === 'string' ? key.value : key.source
  }

  #readChild(node: Node | null | undefined, segment: string | number): unknown {
    this.#path.push(segment)
    const value = this.#read(node, typeof segment === 'string' ? segment : undefined)
    this.#path.pop()
    return value
  }

  #read(node: Node | null | undefined, key: string | undefined): unknown {
    this.#values += 1
    if (node === null || node === undefined) return null
    if (isAlias(node)) return this.#readAlias(node)
    if (!node.anchor) return this.#readContent(node, key)
    const anchor: Anchor = { node, value: undefined, values: this.#values, complete: false }
    this.#anchors.set(node.anchor, anchor)
    anchor.value = this.#readContent(node, key)
    anchor.values = this.#values - anchor.values + 1
    anchor.complete = true
    return anchor.value
  }

  #readContent(node: Node, key: string | undefined): unknown {
    if (isScalar(node)) {
      if (node.type === 'PLAIN' && node.source !== undefined) this.#compareVersions(node, node.source, key)
      return node.value
    }
    if (isSeq(node)) return node.items.map((item, index) => this.#readChild(item as Node | null, index))
    return isMap(node) ? this.#readMap(node) : null
  }

  #readMap(map: YAMLMap): Record<string, unknown> {
    const value: Record<string, unknown> = {}
    const merged: unknown[] = []
    for (const pair of map.items) {
      const keyNode = pair.key as Node | null
      if (keyNode?.anchor !== undefined || isAlias(keyNode)) this.#read(keyNode, undefined)
      const key = this.#keyText(keyNode)
      if (key === undefined) {
        const message = 'A key is empty or is no text. Keys must be words; quote a key that holds brackets.'
        this.#fault('keyNotText', keyNode ?? map, message)
        continue
      }
      if (isScalar(keyNode) && keyNode.type === 'PLAIN') this.#compareVersions(keyNode, key, undefined)
      if (key === '<<') {
        merged.push(...this.#mergeSources(pair))
        continue
      }
      if (Object.hasOwn(value, key)) {
        const message = `The key ${JSON.stringify(key)} is written twice in one mapping. Keep one of them.`
        this.#fault('duplicateKey', keyNode ?? map, message, key)
      }
      setOwn(value, key, this.#readChild(pair.value as Node | null, key))
    }
    for (const source of merged.filter(isMapping)) {
      for (const [key, item] of Object.entries(source))
        if (!Object.hasOwn(value, key)) setOwn(value, key, item)
    }
    return value
  }

  #mergeSources(pair: Pair): unknown[] {
    const keyNode = pair.key as Node
    const message =
      'The key << merges mappings in YAML 1.1 and is an ordinary key in YAML 1.2; write the fields out.'
    this.#fault('yamlVersion', keyNode, message)
    const read = this.#read(pair.value as Node | null, undefined)
    const list: unknown[] = Array.isArray(read) ? read : [read]
    if (!list.every(isMapping)) {
      this.#fault(
        'mergeKey',
        keyNode,
        'The merge key << takes a mapping, an alias of one, or a list of them.',
      )
    }
    return list
  }

  #readAlias(alias: Node & { source: string }): unknown {
    const anchor = this.#anchors.get(alias.source)
    if (anchor === undefined) {
      const message = `There is no anchor &${alias.source} before this alias. Quote the value if the asterisk is meant as text.`
      this.#fault('unknownAlias', alias, message)
      return undefined
    }
    if (!anchor.complete) {
      this.#fault(
        'unknownAlias',
        alias,
        `The alias *${alias.source} stands within its own anchor. Write the value out.`,
      )
      return undefined
    }
    this.#targets.set(alias, anchor.node)
    this.#values += anchor.values
    const before = this.#aliased
    this.#aliased += anchor.values
    if (before <= maxAliasedValues && this.#aliased > maxAliasedValues) {
      const message = `Aliases stand for more than ${maxAliasedValues} values. Write out what the installer needs.`
      this.#fault('aliasBomb', alias, message)
    }
    return anchor.value
  }

  #compareVersions(node: Node, source: string, key: string | undefined): void {
    const difference = versionDifference(source)
    if (difference === undefined) return
    if (key !== undefined && (fileModes.has(key) ? /^0/ : dates.has(key) ? /-/ : /^$/).test(source)) return
    this.#fault('yamlVersion', node, `${source} is ${difference}.`)
  }

  #fault(rule: keyof typeof yamlRules, node: Node, message: string, key?: string): void {
    const path = key === undefined ? [...this.#path] : [...this.#path, key]
    this.faults.push({ rule: yamlRules[rule], offset: start(node) ?? 0, path, message })
  }
}

/** Sets a field of an object; `__proto__` is a field like any other. */
function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') object[key] = value
  else Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
}

function start(node: Node | null | undefined): number | undefined {
  return node?.range?.[0]
}
