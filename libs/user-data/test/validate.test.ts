import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Compile } from 'typebox/compile'
import { Diagnostic } from '@edgesmith/contract/diagnostic'
import { userDataRules } from '@edgesmith/user-data/catalogue'
import { validateUserData } from '@edgesmith/user-data/validate'
import { summary, type Case } from './cases/case.ts'
import { hostCases } from './cases/host.ts'
import { registrationCases } from './cases/registration.ts'
import { shapeCases } from './cases/shape.ts'
import { siteCases } from './cases/site.ts'
import { textCases } from './cases/text.ts'
import { trustCases } from './cases/trust.ts'
import { yamlCases } from './cases/yaml.ts'

const tables: Record<string, readonly Case[]> = {
  text: textCases,
  YAML: yamlCases,
  shape: shapeCases,
  registration: registrationCases,
  site: siteCases,
  trust: trustCases,
  host: hostCases,
}
const diagnosticShape = Compile(Diagnostic)

for (const [table, cases] of Object.entries(tables)) {
  describe(`user-data: ${table}`, () => {
    for (const { name, text, context, expected } of cases) {
      it(name, () => {
        const diagnostics = validateUserData(text, context)
        assert.deepEqual(diagnostics.map(summary), expected, JSON.stringify(diagnostics, null, 2))
        for (const diagnostic of diagnostics) assert.ok(diagnosticShape.Check(diagnostic))
      })
    }
  })
}

describe('user-data: all tables', () => {
  const cases = Object.values(tables).flat()

  it('hold at least 120 cases, each with a name of its own', () => {
    assert.ok(cases.length >= 120, `${cases.length} cases`)
    assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length)
  })

  it('show every rule at work, but for the limits, which have tests of their own', () => {
    const shown = new Set(cases.flatMap(({ expected }) => expected.map(([, rule]) => `user-data.${rule}`)))
    const limits = ['user-data.alias-bomb', 'user-data.too-deep', 'user-data.too-complex']
    const missing = userDataRules
      .map(({ code }) => code)
      .filter((code) => !shown.has(code) && !limits.includes(code))
    assert.deepEqual(missing, [])
  })
})
