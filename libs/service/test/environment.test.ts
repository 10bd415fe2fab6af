import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  boolean,
  choice,
  ConfigurationError,
  integer,
  list,
  optional,
  readEnvironment,
  text,
  url,
} from '../src/environment.ts'

const variables = {
  NAME: text({ description: 'A name.' }),
  PORT: integer({ description: 'A port.', default: 8080, minimum: 0, maximum: 65_535 }),
  MODE: choice(['fast', 'safe'], { description: 'A mode.', default: 'safe' }),
  FLAG: boolean({ description: 'A flag.', default: false }),
  WHERE: url(['http', 'https'], { description: 'A place.', default: 'http://localhost' }),
  KEYS: list({ description: 'Keys.', default: [], secret: true }),
  EXTRA: optional(text({ description: 'More.', secret: true })),
}

describe('readEnvironment', () => {
  it('reads what is set and takes the defaults of the rest', () => {
    const values = readEnvironment(variables, {
      NAME: 'n',
      PORT: '0',
      FLAG: 'true',
      WHERE: 'https://a.example/',
      KEYS: 'one, two,,',
    })
    assert.deepEqual(values, {
      NAME: 'n',
      PORT: 0,
      MODE: 'safe',
      FLAG: true,
      WHERE: 'https://a.example',
      KEYS: ['one', 'two'],
      EXTRA: undefined,
    })
  })

  it('tells every fault at once, and no secret', () => {
    assert.throws(
      () =>
        readEnvironment(variables, { PORT: '65536', MODE: 'slow', FLAG: 'yes', WHERE: 'ftp://x', EXTRA: '' }),
      (error: unknown) => {
        assert.ok(error instanceof ConfigurationError)
        assert.deepEqual(error.faults, [
          'NAME is required: A name.',
          'PORT must be a whole number from 0 to 65535 (it is "65536")',
          'MODE must be one of fast, safe (it is "slow")',
          'FLAG must be true or false (it is "yes")',
          'WHERE must be a URL with the scheme http or https (it is "ftp://x")',
          'EXTRA must not be empty',
        ])
        return true
      },
    )
  })

  it('refuses numbers that are not whole', () => {
    for (const PORT of ['1e3', '0x10', ' 80', '80.0', '']) {
      assert.throws(() => readEnvironment(variables, { NAME: 'n', PORT }), ConfigurationError, PORT)
    }
  })
})
