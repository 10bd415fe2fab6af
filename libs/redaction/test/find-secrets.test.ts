import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { withoutCredentials } from '@edgesmith/redaction/credential-patterns'
import { findInDocument, findInText, passwordsOfUrls } from '@edgesmith/redaction/find-secrets'

describe('The secrets of user-data', () => {
  it('are tokens, passwords and keys of any kind', () => {
    const found = findInDocument(`#cloud-config
stylus:
  site:
    edgeHostToken: canary-edge-host
    paletteEndpoint: api.spectrocloud.com
    network:
      httpsProxy: http://user:canary%2Dproxy@proxy:3128
  registryCredentials:
    domain: registry.example.com
    username: robot
    password: >-
      canary-registry
  vip: { password: "canary-\\u0066low", insecure: false }
stages:
  initramfs:
    - users:
        kairos:
          passwd: 12345678
          ssh_authorized_keys: [github:somebody]
    - commands:
        - curl -H "Authorization: Bearer canary-bearer" https://example.com/
        - login --token canary-option --verbose
        - export API_KEY='canary exported'
    - files:
        - path: /key.pem
          content: |
            -----BEGIN EC PRIVATE KEY-----
            canary+private+key
            -----END EC PRIVATE KEY-----
`)
    for (const secret of [
      'canary-edge-host',
      'canary%2Dproxy',
      'canary-proxy',
      'canary-registry',
      'canary-flow',
      '12345678',
      'canary-bearer',
      'canary-option',
      'canary exported',
      '-----BEGIN EC PRIVATE KEY-----\ncanary+private+key\n-----END EC PRIVATE KEY-----',
    ])
      assert.ok(found.has(secret), `${secret} in ${[...found].join(' | ')}`)
    for (const plain of ['false', 'robot', 'github:somebody', 'api.spectrocloud.com'])
      assert.ok(!found.has(plain), plain)
  })

  it('are found where the YAML is broken', () => {
    assert.ok(findInDocument('stylus: [\n  token: "canary-one"\n\t password: canary-two').has('canary-one'))
    assert.ok(findInDocument('a: [\n\tpassword: canary-two').has('canary-two'))
  })

  it('are looked for in time that grows with the size', () => {
    for (const piece of [
      'key="',
      "token: 'a",
      '://u:p',
      'bearer ',
      '-----BEGIN PRIVATE KEY-----',
      '--password ',
      'a',
      '{{',
      '- - ',
    ]) {
      const text = piece.repeat(Math.ceil(1024 ** 2 / piece.length))
      const start = performance.now()
      findInText(text)
      assert.ok(performance.now() - start < 3000, `${piece}: ${performance.now() - start} ms`)
    }
  })
})

describe('Credentials', () => {
  it('are the passwords of URLs', () => {
    assert.deepEqual(
      [...passwordsOfUrls('http://user:p%40ss@proxy:3128, http://proxy:3128 and https://a@b')],
      ['p%40ss', 'p@ss'],
    )
  })

  for (const [text, left] of [
    ['with esk_01abc_AbCdEf0123456789xyz.', 'with esk_01abc_***.'],
    ['"authorization":"Bearer abcdefgh"', '"authorization":"***"'],
    ['\\"authorization\\":\\"Basic YTpi\\"', '\\"authorization\\":\\"***\\"'],
    ['GET /v1/x?signature=AbC-_123&expires=5', 'GET /v1/x?signature=***&expires=5'],
    ['redis://:hunter2@redis:6379', 'redis://:***@redis:6379'],
    ['http://user:hunter2@proxy', 'http://user:***@proxy'],
    ['Bearer of good news at https://host:8080/@x', 'Bearer of good news at https://host:8080/@x'],
  ] as const) {
    it(`are not left of ${text}`, () => {
      assert.equal(withoutCredentials(text), left)
    })
  }
})
