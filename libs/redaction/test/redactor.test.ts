import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mask, Redactor } from '@edgesmith/redaction/redactor'
import fc from 'fast-check'

const secret = fc
  .string({ unit: 'grapheme-ascii', minLength: 8, maxLength: 60 })
  .filter((text) => text.trim() === text && text.trim().length >= 8)
const around = fc.string({
  unit: fc.constantFrom('a', 'Z', '0', ' ', '=', '/', '%', 'é', '"'),
  maxLength: 40,
})

/** The ways in which a program may print a secret. */
const encodings: Record<string, (text: string) => string> = {
  raw: (text) => text,
  base64: (text) => Buffer.from(text).toString('base64'),
  base64url: (text) => Buffer.from(text).toString('base64url'),
  'base64 of user:password': (text) => Buffer.from(`user:${text}\n`).toString('base64'),
  'base64 of a document': (text) => Buffer.from(`token: ${text} # the end of it`).toString('base64'),
  encodeURIComponent: (text) => encodeURIComponent(text),
  'a form': (text) => new URLSearchParams({ '': text }).toString().slice(1),
  'a URL': (text) => {
    const url = new URL('http://user@host')
    url.password = text
    return url.password
  },
  'lowercase percent': (text) =>
    encodeURIComponent(text).replaceAll(/%../g, (escape) => escape.toLowerCase()),
  JSON: (text) => JSON.stringify(text),
  'JSON in JSON': (text) => JSON.stringify(JSON.stringify({ text })),
  'a shell': (text) => `'${text.replaceAll("'", "'\\''")}'`,
  YAML: (text) => `'${text.replaceAll("'", "''")}'`,
  hex: (text) => Buffer.from(text).toString('hex'),
}

describe('A redactor', () => {
  for (const [name, encode] of Object.entries(encodings)) {
    it(`masks a secret in the form of ${name}, whatever is around it`, () => {
      fc.assert(
        fc.property(secret, around, around, (value, before, behind) => {
          const redacted = new Redactor([value]).redact(`${before}${encode(value)}${behind}`)
          assert.ok(redacted.includes(mask), redacted)
          // What decides less than a byte of the secret may be left at the ends of base64.
          const left = encode(value).slice(4, -4)
          assert.ok(left.length < 8 || !redacted.includes(left), redacted)
        }),
        { numRuns: 300 },
      )
    })
  }

  it('leaves a text alone that holds none of the secrets', () => {
    fc.assert(
      fc.property(fc.array(secret, { maxLength: 5 }), around, (secrets, text) => {
        assert.equal(new Redactor(secrets).redact(text), text)
      }),
    )
  })

  it('masks secrets that overlap, and those within another', () => {
    const redactor = new Redactor(['correct-horse', 'horse-battery', 'battery-staple-x'])
    assert.equal(redactor.redact('<correct-horse-battery-staple-x>'), `<${mask}>`)
    assert.equal(new Redactor(['abcdefgh12345678', 'efgh1234']).redact('-abcdefgh12345678-'), `-${mask}-`)
  })

  it('masks short values where they stand by themselves, and no plain words', () => {
    const redactor = new Redactor(['p4ss', 'kairos', '1234', 'x1'])
    assert.equal(
      redactor.redact('password=p4ss "p4ss" p4ssage kairos:1234 x1'),
      `password=${mask} "${mask}" p4ssage kairos:1234 x1`,
    )
  })

  it('masks what is added later', () => {
    const redactor = new Redactor()
    assert.equal(redactor.redact('the secret-value'), 'the secret-value')
    redactor.add(['secret-value'])
    assert.equal(redactor.redact('the secret-value'), `the ${mask}`)
  })

  it('masks the strings of a value, wherever they are in it', () => {
    const value = { detail: 'no secret-value', lines: ['secret-value', { n: 1, none: null }] }
    assert.deepEqual(new Redactor(['secret-value']).redactAll(value), {
      detail: `no ${mask}`,
      lines: [mask, { n: 1, none: null }],
    })
  })

  it('reads a megabyte of log in a quarter second of processor time, with a hundred secrets', () => {
    const redactor = new Redactor(Array.from({ length: 100 }, (_, index) => `canary-${index * 7919}-secret`))
    const line =
      '+build-iso | Get:1 http://archive.ubuntu.com/ubuntu jammy/main amd64 canary packages [1792 kB]\n'
    const text = line.repeat(Math.ceil(1024 ** 2 / line.length))
    redactor.redact(text)
    const before = process.threadCpuUsage()
    assert.equal(redactor.redact(text), text)
    const { user, system } = process.threadCpuUsage(before)
    assert.ok(user + system < 250_000, `${user + system} µs`)
  })
})

describe('Consecutive texts', () => {
  it('have a secret masked that is split over any number of them, but for four characters of it', () => {
    fc.assert(
      fc.property(
        secret,
        around,
        around,
        fc.array(fc.nat(200), { minLength: 1, maxLength: 6 }),
        (value, before, behind, cuts) => {
          const text = `${before}${value}${behind}`
          const edges = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length]
          const lines = edges.slice(1).map((edge, index) => text.slice(edges[index], edge))
          const redactor = new Redactor([value]).consecutive()
          const answer = lines.map((line) => redactor.redact(line))
          const shown = answer.join('').replaceAll(mask, '\0')
          for (let at = 0; at + 5 <= value.length; at += 1) {
            const piece = value.slice(at, at + 5)
            assert.ok(
              !shown.includes(piece) ||
                before.includes(piece) ||
                behind.includes(piece) ||
                (before.slice(-4) + value.slice(0, 4)).includes(piece),
              `${piece} in ${JSON.stringify(answer)}`,
            )
          }
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('have base64 masked that is wrapped at 76 characters', () => {
    const value = 'a secret that is longer than one line of base64, which has fifty-seven bytes'
    const wrapped =
      Buffer.from(value)
        .toString('base64')
        .match(/.{1,76}/g) ?? []
    assert.ok(wrapped.length > 1)
    const redactor = new Redactor([value]).consecutive()
    for (const line of wrapped) assert.ok(!redactor.redact(line).includes(line.slice(0, 8)), line)
  })

  it('have each line of a secret of several lines masked, with others in between', () => {
    const key = [
      '-----BEGIN PRIVATE KEY-----',
      'MIIEvQIBADANBgkqhkiG9w0B',
      'AQEFAASCBKcwggSjAgEAAoIB',
      '-----END PRIVATE KEY-----',
    ].join('\n')
    const redactor = new Redactor([key]).consecutive()
    assert.deepEqual(
      [
        '-----BEGIN PRIVATE KEY-----',
        '  MIIEvQIBADANBgkqhkiG9w0B',
        'meanwhile',
        '  AQEFAASCBKcwggSjAgEAAoIB',
      ].map((line) => redactor.redact(line)),
      [mask, `  ${mask}`, 'meanwhile', `  ${mask}`],
    )
  })
})
