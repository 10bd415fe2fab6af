import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { Diagnostic as DiagnosticSchema, hasErrors } from '@edgesmith/contract/diagnostic'
import { Value } from 'typebox/value'
import { parseArgFile, writeArgFile } from '../src/arg-file.ts'
import type { ArgumentsToValidate } from '../src/argument-findings.ts'
import { argumentCatalogue } from '../src/argument-catalogue.ts'
import { validateArguments } from '../src/arguments.ts'
import { featureRules } from '../src/feature-rules.ts'
import { platformRules } from '../src/platform-rules.ts'
import { meaningCases, syntaxCases } from './arg-cases.ts'
import type { ArgCase } from './arg-cases.ts'
import { declaredBy, kubernetesVersions } from './releases.ts'

/** What every build needs, on line 0 as seen by a case. */
const needed = { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' }

function check(argCase: ArgCase): Diagnostic[] {
  const { tag = 'v4.9.36', target = 'iso' } = argCase
  const prefix = argCase.alone === true ? '' : writeArgFile(needed)
  const argFile = parseArgFile(prefix + argCase.text)
  const { diagnostics, arguments: result } = validateArguments({
    tag,
    target,
    argFile,
    declared: declaredBy(tag),
    kubernetesVersions: tag === 'v4.3.3' ? undefined : kubernetesVersions,
    inputs: argCase.sent?.map((role) => ({ role })),
    secrets: argCase.secrets,
  })
  const all = [...argFile.diagnostics, ...diagnostics]
  if (!hasErrors(all))
    assert.deepEqual(
      Object.fromEntries(parseArgFile(writeArgFile(result)).entries.map(({ key, value }) => [key, value])),
      result,
    )
  const linesBefore = prefix.split('\n').length - 1
  return all.map((diagnostic) => ({
    ...diagnostic,
    ...(diagnostic.line === undefined ? {} : { line: diagnostic.line - linesBefore }),
  }))
}

function summary({ severity, code, line, column, pointer }: Diagnostic): string {
  const place = line === undefined ? (pointer ?? '') : `${line}:${column ?? '?'}`
  return `${severity} ${code.replace(/^arguments\./, '').replace(/^arg-/, '')} ${place}`
}

for (const [name, cases] of [
  ['.arg files: syntax', syntaxCases],
  ['.arg files: meaning', meaningCases],
] as const) {
  describe(name, () => {
    for (const argCase of cases) {
      it(`${argCase.expect.length === 0 ? 'takes' : 'tells about'} ${argCase.title}`, () => {
        const diagnostics = check(argCase)
        assert.deepEqual(diagnostics.map(summary), argCase.expect)
        for (const diagnostic of diagnostics) {
          assert.ok(Value.Check(DiagnosticSchema, diagnostic), JSON.stringify(diagnostic))
          assert.match(diagnostic.documentation ?? '', /^docs\/arguments\.md#/)
          assert.match(diagnostic.message, /[.?]$/)
        }
      })
    }
  })
}

describe('the cases', () => {
  it('are at least 80, and see every rule at work', () => {
    const cases = [...syntaxCases, ...meaningCases]
    assert.ok(cases.length >= 80, `${cases.length} cases`)
    const seen = cases.flatMap(({ expect }) => expect.map((line) => line.split(' ')[1]))
    for (const { code } of [...platformRules, ...featureRules])
      assert.ok(seen.includes(code.replace('arguments.', '')), code)
  })
})

function validate(input: Partial<ArgumentsToValidate>) {
  const { arguments: result, diagnostics } = validateArguments({
    tag: 'v4.9.36',
    target: 'iso',
    declared: declaredBy('v4.9.36'),
    kubernetesVersions,
    ...input,
  })
  return {
    result,
    summary: diagnostics.map(summary),
    messages: diagnostics.map(({ message }) => message),
    diagnostics,
  }
}

describe('arguments of a build spec', () => {
  it('may be booleans and numbers', () => {
    const { result, summary } = validate({
      arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: 22.04, UPDATE_KERNEL: false },
    })
    assert.deepEqual(summary, [])
    assert.deepEqual(result, {
      ARCH: 'amd64',
      OS_DISTRIBUTION: 'ubuntu',
      OS_VERSION: '22.04',
      UPDATE_KERNEL: 'false',
    })
  })

  it('take precedence over the same names of a file', () => {
    const argFile = parseArgFile(`${writeArgFile(needed)}ISO_NAME=Bad\nUPDATE_KERNEL=$(x)\nHTTP_PROXY=\n`)
    const { result, summary } = validate({ argFile, arguments: { ISO_NAME: 'good', UPDATE_KERNEL: true } })
    assert.deepEqual(summary, [])
    assert.deepEqual(result, { ...needed, ISO_NAME: 'good', UPDATE_KERNEL: 'true' })
  })

  it('have their faults told with a JSON Pointer', () => {
    const { diagnostics } = validate({
      arguments: { ...needed, ISO_NAME: 'Store', 'A/B~': 'x', K8S_DISTRIBUTION: 'k3s', K8S_VERSION: 1.3 },
    })
    assert.deepEqual(
      diagnostics.map(({ source, pointer, line, code }) => [source, pointer, line, code]),
      [
        ['arguments', '/arguments/ISO_NAME', undefined, 'arguments.invalid-value'],
        ['arguments', '/arguments/A~1B~0', undefined, 'arguments.invalid-name'],
        ['arguments', '/arguments/K8S_VERSION', undefined, 'arguments.invalid-value'],
      ],
    )
  })

  it('cannot smuggle a second line or a value that is read differently', () => {
    const { summary } = validate({
      arguments: { ...needed, CMDLINE: 'a\nARCH=arm64', DEBUG: "it's \\", IFS: ' ' },
    })
    assert.deepEqual(summary, [
      'error control-character /arguments/CMDLINE',
      'error not-expressible /arguments/DEBUG',
      'error reserved-name /arguments/IFS',
    ])
  })

  it('are not mistaken for properties of objects', () => {
    const hostile = JSON.parse('{"__proto__": "x", "constructor": "y", "toString": "z"}') as Record<
      string,
      string
    >
    const { summary } = validate({
      arguments: { ...needed, ...Object.fromEntries(Object.entries(hostile)), K8S_DISTRIBUTION: 'toString' },
    })
    assert.deepEqual(summary, [
      'error unknown /arguments/__proto__',
      'error unknown /arguments/constructor',
      'error unknown /arguments/toString',
      'error invalid-value /arguments/K8S_DISTRIBUTION',
    ])
  })

  it('name the nearest argument when they are unknown', () => {
    for (const [given, suggestion] of [
      ['ISO_NAM', 'Did you mean ISO_NAME?'],
      ['iso_name', 'Did you mean ISO_NAME?'],
      ['K8S_DISTRO', 'Remove it.'],
      ['ALPINE_IMAG', 'Did you mean ALPINE_IMG?'],
      ['CLUSTER_CONFIG', 'Did you mean CLUSTERCONFIG?'],
      ['ENTIRELY_DIFFERENT', 'Remove it.'],
    ] as const) {
      const { messages } = validate({ arguments: { ...needed, [given]: 'x' } })
      assert.deepEqual(messages, [`${given} is not an argument of CanvOS v4.9.36. ${suggestion}`])
    }
  })

  it('offer the versions near the one that is not listed', () => {
    const wanted = (version: string) =>
      validate({ arguments: { ...needed, K8S_DISTRIBUTION: 'k3s', K8S_VERSION: version } }).messages
    assert.match(wanted('1.30.9').join(), /Choose 1\.30\.4, 1\.30\.5\.$/)
    assert.match(wanted('1.99.0').join(), /1\.32\.3 or another listed version\.$/)
  })

  it('go by the Earthfile, not by the version of the tag', () => {
    const declared = declaredBy('v4.9.36')
    const { summary, messages } = validate({
      tag: 'v4.10.0',
      declared,
      arguments: { ...needed, BUNDLE_K8S_AND_AGENT_PROVIDER: true },
    })
    assert.deepEqual(summary, ['error not-in-tag /arguments/BUNDLE_K8S_AND_AGENT_PROVIDER'])
    assert.match(
      messages.join(),
      /^CanvOS v4\.10\.0 does not have BUNDLE_K8S_AND_AGENT_PROVIDER and would ignore it\. Remove it/,
    )
  })

  it('go by the version of the tag where the Earthfile was not read', () => {
    const given = { ...needed, FORCE_INTERACTIVE_INSTALL: true }
    assert.deepEqual(validate({ declared: undefined, arguments: given }).summary, [])
    assert.deepEqual(validate({ tag: 'v4.8.5', declared: undefined, arguments: given }).summary, [
      'error not-in-tag /arguments/FORCE_INTERACTIVE_INSTALL',
    ])
    assert.match(
      validate({ tag: 'v4.8.5', declared: undefined, arguments: given }).messages.join(),
      /It exists from v4\.8\.8 on/,
    )
    assert.deepEqual(
      validate({ tag: 'v4.10.0-rc.1', declared: undefined, arguments: { ...needed, UBUNTU_PRO_KEY: 'C1' } })
        .summary,
      ['error ubuntu-pro-key /arguments/UBUNTU_PRO_KEY'],
    )
    assert.deepEqual(
      validate({ declared: undefined, arguments: { ...needed, UBUNTU_PRO_KEY: 'C1' } }).summary,
      ['error ubuntu-pro-key-leak /arguments/UBUNTU_PRO_KEY'],
    )
  })

  it('are not required of a tag that does not have them', () => {
    const declared = declaredBy('v4.9.36').filter(({ name }) => name !== 'ARCH')
    assert.deepEqual(
      validate({ declared, arguments: { OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' } }).summary,
      [],
    )
  })

  it('count with the defaults of the tag', () => {
    const declared = declaredBy('v4.9.36').map((argument) =>
      argument.name === 'UPDATE_KERNEL' ? { ...argument, default: 'true' } : argument,
    )
    const { summary } = validate({
      declared,
      arguments: { ...needed, FIPS_ENABLED: true, BASE_IMAGE: 'a/fips' },
    })
    assert.ok(summary.includes('error fips-update-kernel /arguments/UPDATE_KERNEL'))
    const withBase = [
      ...declaredBy('v4.9.36'),
      { name: 'BASE_IMAGE', default: 'a/base', conditional: false, global: false },
    ]
    assert.deepEqual(validate({ declared: withBase, arguments: { ARCH: 'amd64' } }).summary, [])
  })

  it('take Ubuntu Pro when the build has its secret', () => {
    const { summary } = validate({
      tag: 'v4.10.0-rc.10',
      declared: declaredBy('v4.10.0-rc.10'),
      secrets: ['UBUNTU_PRO_KEY'],
      arguments: { ...needed, UBUNTU_PRO_ATTACH: true },
    })
    assert.deepEqual(summary, [])
  })

  it('are told without credentials', () => {
    const { messages } = validate({
      tag: 'v4.10.0-rc.10',
      declared: declaredBy('v4.10.0-rc.10'),
      arguments: {
        ...needed,
        UBUNTU_PRO_KEY: 'canary-token',
        HTTPS_PROXY: 'ftp://user:canary-proxy@proxy with space',
        ARCH: 'canary://u:canary-arch@h',
      },
    })
    assert.ok(messages.length >= 2)
    assert.doesNotMatch(messages.join(), /canary-/)
  })

  it('leave out what the service sets, and what is empty and may be', () => {
    const { result } = validate({
      inputs: [{ role: 'clusterDefinition' }],
      arguments: { ...needed, CLUSTERCONFIG: 'mine.tgz', HTTP_PROXY: '', DEBUG: '' },
    })
    assert.deepEqual(result, { ...needed, DEBUG: '' })
  })
})

describe('the catalogue', () => {
  it('names every argument once', () => {
    const names = argumentCatalogue.map(({ name }) => name)
    assert.deepEqual(names, [...new Set(names)])
  })

  it('refers to arguments that it has', () => {
    const names = new Set(argumentCatalogue.map(({ name }) => name))
    for (const { onlyWith } of argumentCatalogue)
      assert.ok(onlyWith === undefined || names.has(onlyWith.name))
  })

  it('has defaults that fit', () => {
    for (const { name, default: preset, type } of argumentCatalogue) {
      if (preset === undefined || preset.startsWith('$') || type.kind === 'text') continue
      const { summary } = validate({
        declared: undefined,
        tag: 'v4.10.0-rc.10',
        arguments: { ...needed, [name]: preset },
      })
      assert.deepEqual(
        summary.filter((line) => line.includes('invalid-value')),
        [],
        name,
      )
    }
  })
})
