import { sources, type RuleDescription } from './rule.ts'

/** How many values aliases may stand for, all taken together. */
export const maxAliasedValues = 10_000

/** The rules about YAML itself. */
export const yamlRules = {
  syntax: {
    code: 'user-data.syntax',
    severity: 'error',
    summary: 'The file is well-formed YAML.',
    source: sources.validateUserData,
  },
  tab: {
    code: 'user-data.tab',
    severity: 'error',
    summary: 'Indentation is made of spaces.',
    source: sources.yaml,
  },
  duplicateKey: {
    code: 'user-data.duplicate-key',
    severity: 'error',
    summary: 'A mapping has each key once.',
    source: sources.yaml,
  },
  keyNotText: {
    code: 'user-data.key-not-text',
    severity: 'error',
    summary: 'Keys are plain words or quoted text, not empty, lists or mappings.',
    source: sources.yip,
  },
  multipleDocuments: {
    code: 'user-data.multiple-documents',
    severity: 'error',
    summary: 'The file holds one YAML document.',
    source: sources.kairosCollector,
  },
  unknownAlias: {
    code: 'user-data.unknown-alias',
    severity: 'error',
    summary: 'An alias names an anchor that stands before it and does not contain it.',
    source: sources.yaml,
  },
  aliasBomb: {
    code: 'user-data.alias-bomb',
    severity: 'error',
    summary: 'Aliases stand for at most 10,000 values.',
    source: sources.yaml,
  },
  tooDeep: {
    code: 'user-data.too-deep',
    severity: 'error',
    summary: 'Collections are nested at most 64 deep.',
    source: sources.yaml,
  },
  tooComplex: {
    code: 'user-data.too-complex',
    severity: 'error',
    summary: 'The file has at most 200,000 YAML tokens.',
    source: sources.yaml,
  },
  mergeKey: {
    code: 'user-data.merge-key',
    severity: 'error',
    summary: 'A merge key (`<<`) merges mappings.',
    source: sources.yaml,
  },
  yamlVersion: {
    code: 'user-data.yaml-version',
    severity: 'warning',
    summary: 'Values mean the same in YAML 1.1, which Kairos and cloud-init read, and in YAML 1.2.',
    source: sources.yaml,
  },
  unknownTag: {
    code: 'user-data.unknown-tag',
    severity: 'warning',
    summary: 'Values carry no YAML tags beyond those of the core schema.',
    source: sources.yaml,
  },
} as const satisfies Record<string, RuleDescription>
