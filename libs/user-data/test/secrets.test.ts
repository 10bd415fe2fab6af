import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { validateUserData } from '@edgesmith/user-data/validate'

/** What is wrong in as many ways as there are messages that quote a value, all of them secrets. */
const cases: Readonly<Record<string, string>> = {
  placeholders: `#cloud-config
stylus:
  site:
    edgeHostToken: canary-XXXXXXXX
    paletteEndpoint: "https://user:canary-endpoint@api.spectrocloud.com"
    registrationURL: "ftp://user:canary-url@host/?token=canary-query"
    network:
      httpProxy: "socks://user:canary-proxy@proxy"
      noProxy: "user:canary-entry@host, password=canary-no-proxy"
  registryCredentials:
    domain: "https://robot:canary-domain@registry.example.com"
    username: robot
    password: "<canary-password>"
    insecure: canary
`,
  types: `#cloud-config
stylus:
  site:
    edgeHostToken: [canary-token-list]
    name: "password: canary-in-name"
  vip:
    skip: "token=canary-boolean"
install:
  poweroff: "secret: canary-poweroff"
`,
  'broken YAML': `#cloud-config
stylus:
  site:
    edgeHostToken: canary-token: canary-more
    edgeHostToken: "canary-unterminated
   password: canary-indent
  *canary-alias
`,
  'broken YAML with tabs': '#cloud-config\nstylus:\n\tpassword: canary-tab\n  token: !canary canary-tag @x\n',
}

describe('Diagnostics of user-data', () => {
  for (const [name, text] of Object.entries(cases)) {
    it(`do not tell tokens and passwords: ${name}`, () => {
      const messages = validateUserData(text).map(({ message }) => message)
      assert.ok(messages.length > 0)
      assert.doesNotMatch(messages.join('\n'), /canary-(?!alias)/)
    })
  }

  it('tell other values', () => {
    const diagnostics = validateUserData('#cloud-config\nstylus:\n  site:\n    paletteEndpoint: "a b"\n')
    assert.ok(diagnostics.some(({ message }) => message.includes('"a b"')))
  })
})
