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
      faults: [],
    })
  })

  it('tells every fault at once, and no secret', () => {
    const source = { PORT: '65536', MODE: 'slow', FLAG: 'yes', WHERE: 'ftp://x', EXTRA: '' }
    const { faults, ...values } = readEnvironment(variables, source)
    assert.deepEqual(faults, [
      'NAME is required: A name.',
      'PORT must be a whole number from 0 to 65535 (it is "65536")',
      'MODE must be one of fast, safe (it is "slow")',
      'FLAG must be true or false (it is "yes")',
      'WHERE must be a URL with the scheme http or https (it is "ftp://x")',
      'EXTRA must not be empty',
    ])
    assert.deepEqual([values.PORT, values.MODE], [8080, 'safe'])
    assert.match(new ConfigurationError(faults).message, /has 6 faults:\n {2}- NAME is required/)
  })

  it('refuses numbers that are not whole', () => {
    for (const PORT of ['1e3', '0x10', ' 80', '80.0', '']) {
      assert.equal(readEnvironment(variables, { NAME: 'n', PORT }).faults.length, 1, PORT)
    }
  })
})
