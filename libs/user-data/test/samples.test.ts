import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { validateUserData } from '@edgesmith/user-data/validate'
import { certificate, now } from './cases/case.ts'

/**
 * The samples of the public documentation and the template of CanvOS, in our own words, and what the
 * documentation says of them: none of its samples is to fail, unless it breaks the documentation's
 * own rules (a value without content, a wrong type, malformed YAML), or holds a masked value where
 * the real one must stand.
 */
const errors: Record<string, readonly string[]> = {
  'agent-mode': [],
  'agent-mode-airgap': [],
  // The name stands beside the list of steps rather than within the step.
  'agent-mode-airgap-misaligned': ['syntax 10'],
  'bind-mounts': [],
  // The reference says that projectUid is a string.
  'central-mode': ['type 11'],
  // The reference says that certificates are a list of strings.
  'certificates-as-text': ['type 8'],
  'device-identifier': [],
  everything: [],
  // The certificate is left out.
  'external-registry-content': ['certificate 14'],
  'feature-gates': [],
  'hardware-lookup': [],
  'local-mapping-rules': [],
  'local-mode': [],
  'manual-registration': [],
  // Asterisks without quotes are an alias of YAML.
  'masked-user': ['unknown-alias 6'],
  netplan: [],
  offload: [],
  'partitions-sized': [],
  'partitions-with-filler': [],
  'power-off': [],
  'qr-code': [],
  // The block is indented too little: stylus has no value.
  'registries-beside-stylus': ['type 2'],
  'registry-mirror': [],
  'several-registries': [],
  'single-file': [],
  'single-registry': [],
  site: [],
  'stage-behind-document-start': [],
  'stages-at-the-top': [],
  staging: [],
  subscription: [],
  'tags-from-file': [],
  // The documentation names this very fault of the password: a comment is no value.
  template: ['certificate 35', 'type 42'],
  'template-filled-in': [],
  'trusted-boot-binaries': [],
  tutorial: [],
  'user-data-form': [],
  'user-data-form-airgap': [],
  webhook: [],
  'wireless-misaligned': ['syntax 9'],
}

const directory = new URL('./fixtures/samples/', import.meta.url)

describe('user-data: samples of the documentation', () => {
  it('are all spoken of here', () => {
    const names = readdirSync(directory).map((name) => name.replace(/\.user-data$/, ''))
    assert.deepEqual(names.toSorted(), Object.keys(errors).toSorted())
  })

  for (const [name, expected] of Object.entries(errors)) {
    it(`${expected.length === 0 ? 'passes' : 'fails'}: ${name}`, () => {
      const text = readFileSync(new URL(`${name}.user-data`, directory), 'utf8')
      const indent = name === 'several-registries' ? 12 : 8
      const diagnostics = validateUserData(text.replace('@authority@', certificate('authority', indent)), {
        now,
      })
      const found = diagnostics
        .filter(({ severity }) => severity === 'error')
        .map(({ code, line }) => `${code.replace('user-data.', '')} ${line ?? ''}`)
      assert.deepEqual(found, expected, JSON.stringify(diagnostics, null, 2))
    })
  }

  it("says what Palette's own validator says of the template", () => {
    const text = readFileSync(new URL('template.user-data', directory), 'utf8')
    const fault = validateUserData(text, { now }).find(({ code }) => code === 'user-data.type')
    assert.match(
      fault?.message ?? '',
      /^stylus\.registryCredentials\.password: Invalid type\. Expected: string, given: null\./,
    )
  })

  it('warns of nothing where every field is used as documented', () => {
    const text = readFileSync(new URL('everything.user-data', directory), 'utf8')
    assert.deepEqual(validateUserData(text, { now }), [])
  })
})
