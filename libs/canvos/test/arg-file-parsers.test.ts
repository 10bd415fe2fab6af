import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { hasErrors } from '@edgesmith/contract/diagnostic'
import { ProblemError } from '@edgesmith/contract/problem'
import { parseArgFile, unwritable, writeArgFile } from '../src/arg-file.ts'
import { BashReader, EarthlyReader } from './parsers.ts'

let earthly: EarthlyReader
let bash: BashReader

before(async () => {
  earthly = await EarthlyReader.start()
  bash = await BashReader.start()
})
after(async () => {
  await earthly[Symbol.asyncDispose]()
  await bash[Symbol.asyncDispose]()
})

/** Both real parsers read exactly these pairs, and nothing runs. */
async function assertBothRead(text: string, pairs: Record<string, string>): Promise<void> {
  assert.deepEqual(await earthly.read(text), { values: pairs }, `Earthly on ${JSON.stringify(text)}`)
  assert.deepEqual(
    await bash.read(text, Object.keys(pairs)),
    { values: pairs },
    `bash on ${JSON.stringify(text)}`,
  )
}

const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,12}$/)
/** Every character that one of the parsers gives a meaning, and texts that would leave a trace if run. */
const awkward = fc
  .array(
    fc.oneof(
      fc.constantFrom(...Array.from(' \t#"\'`$\\~=:;&|<>(){}[]*?!%+,-^@/.aAz09_')),
      fc.constantFrom(
        '$(touch RAN)',
        '`touch RAN`',
        '${HOME}',
        '$HOME',
        '\\n',
        '\\"',
        " '",
        ' #',
        '$$',
        '>RAN',
        '&&touch RAN',
        '\\\\',
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''))
const value = fc.oneof(awkward, fc.string({ maxLength: 30 }), fc.string({ unit: 'binary', maxLength: 12 }))
const pairs = fc.dictionary(name, value, { maxKeys: 6, noNullPrototype: true })

describe('what writeArgFile writes', () => {
  it('is read back by Earthly and bash as exactly the same pairs, and nothing runs', async () => {
    let refused = 0
    let written = 0
    const property = fc.asyncProperty(pairs, async (wanted) => {
      const faults = Object.entries(wanted).filter(([key, text]) => unwritable(key, text) !== undefined)
      refused += faults.length
      if (faults.length > 0) {
        assert.throws(() => writeArgFile(wanted), ProblemError)
      }
      const rest = Object.fromEntries(
        Object.entries(wanted).filter(([key]) => !faults.some(([faulty]) => faulty === key)),
      )
      written += Object.keys(rest).length
      const text = writeArgFile(rest)
      await assertBothRead(text, rest)
      const parsed = parseArgFile(text)
      assert.deepEqual(parsed.diagnostics, [])
      assert.deepEqual(Object.fromEntries(parsed.entries.map((entry) => [entry.key, entry.value])), rest)
    })
    await fc.assert(property, { numRuns: 400 })
    assert.ok(written > 5 * refused, `${refused} of ${written + refused} values were refused`)
  })

  for (const [title, text] of [
    ['a command substitution', '$(touch RAN)'],
    ['backticks', '`touch RAN`'],
    ['a second command', 'a; touch RAN'],
    ['a redirection', 'a > RAN'],
    ['a reference', '$HOME and ${HOME}'],
    ['a single quote and a dollar', "it's $HOME"],
    ['a single quote and a command', "it's $(touch RAN) `touch RAN`"],
    ['a single quote and a backslash', "it's \\n"],
    ['a double quote in front', '"quoted" text'],
    ['a hash in front', '# no comment'],
    ['white space around', '  a\t'],
    ['a home directory', '~root:~'],
    ['text of another script', 'ünï©ødé 漢字 🙂\u00a0\u0085'],
  ] as const) {
    it(`keeps ${title}`, async () => {
      await assertBothRead(writeArgFile({ A: text, B: '' }), { A: text, B: '' })
    })
  }

  for (const [title, key, text, code] of [
    ['a line break', 'A', 'a\nB=b', 'arguments.control-character'],
    ['a carriage return', 'A', 'a\r', 'arguments.control-character'],
    ['a NUL', 'A', 'a\0b', 'arguments.control-character'],
    ['a lone surrogate', 'A', '\ud800', 'arguments.control-character'],
    ['a single quote with a double quote at the end', 'A', 'it\'s "so"', 'arguments.not-expressible'],
    ['a backslash at the end', 'A', 'C:\\', 'arguments.not-expressible'],
    ['a name with a line break', 'A\nB', 'a', 'arguments.invalid-name'],
    ['a name with a hyphen', 'A-B', 'a', 'arguments.invalid-name'],
    ['a variable of the shell', 'IFS', 'a', 'arguments.reserved-name'],
    ['the search path', 'PATH', '/tmp', 'arguments.reserved-name'],
  ] as const) {
    it(`refuses ${title}`, () => {
      assert.throws(
        () => writeArgFile({ [key]: text, GOOD: 'x' }),
        (error) =>
          error instanceof ProblemError &&
          error.code === 'invalid-input' &&
          error.errors.map((fault) => fault.code).join() === code,
      )
    })
  }

  it('keeps or refuses every variable that bash sets itself', async () => {
    const names = (await bash.variables()).filter((name) => unwritable(name, 'x1') === undefined)
    assert.ok(names.includes('HOSTNAME') && !names.includes('RANDOM'), names.join(' '))
    const values = Object.fromEntries(names.map((name) => [name, 'x1']))
    await assertBothRead(writeArgFile(values), values)
  })
})

describe('what parseArgFile accepts', () => {
  const word = fc
    .array(
      fc.constantFrom(
        'A',
        'b',
        '1',
        '.',
        '-',
        ':',
        '~',
        '#',
        ' ',
        ' #',
        '\t',
        '"',
        "'",
        '\\',
        '$A',
        '${A}',
        '$B',
        '$b',
        '$A}',
        '${A',
        '$',
        '$1',
        '*',
        '{a,b}',
        '=',
        '!',
        '\\"',
        '\\$',
        '\\\\',
        "\\'",
      ),
      { maxLength: 4 },
    )
    .map((parts) => parts.join(''))
  const line = fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .tuple(
          fc.constantFrom('', ' ', 'export '),
          fc.constantFrom('A', 'B', 'C'),
          fc.constantFrom('=', '=', '=', ' =', '= '),
          word,
        )
        .map((parts) => parts.join('')),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom('A', 'B'), fc.constantFrom('"', "'"), word, fc.constantFrom('', ' ', ' # c'))
        .map(([key, quote, text, end]) => `${key}=${quote}${text}${quote}${end}`),
    },
    { weight: 1, arbitrary: fc.constantFrom('', '# A comment "', ' # $(x) ', '\t') },
  )
  const file = fc.array(line, { maxLength: 4 }).map((lines) => lines.map((text) => `${text}\n`).join(''))

  it('is read by Earthly and bash in the same way', async () => {
    let accepted = 0
    const property = fc.asyncProperty(file, async (text) => {
      const parsed = parseArgFile(text)
      if (hasErrors(parsed.diagnostics)) return
      accepted += parsed.entries.length
      await assertBothRead(text, Object.fromEntries(parsed.entries.map((entry) => [entry.key, entry.value])))
    })
    await fc.assert(property, { numRuns: 1500 })
    assert.ok(accepted > 200, `only ${accepted} lines were accepted`)
  })

  it('ends without a line break, too', async () => {
    for (const text of ['A=a', 'A=', "A='a'", 'A=a # c', '# c']) {
      const { entries, diagnostics } = parseArgFile(text)
      assert.deepEqual(diagnostics, [])
      await assertBothRead(text, Object.fromEntries(entries.map((entry) => [entry.key, entry.value])))
    }
  })
})
