/**
 * Reading of environment variables: a service declares its variables once, with their type, default
 * and description; all faults are told at once; `docs/configuration.md` is made from the declarations.
 */

type VariableBase<T> = {
  /** What the variable sets, with its unit. */
  readonly description: string
  /** The value when the variable is not set; a variable without one is required unless optional. */
  readonly default?: T
  readonly optional?: boolean
  /** Never shown in faults. */
  readonly secret?: boolean
  /** What values look like, for documentation. */
  readonly form: string
  /** Turns the text into the value or throws an Error that says what is expected. */
  readonly parse: (text: string) => T
}

export type Variable<T = unknown> = VariableBase<T>
export type Variables = Readonly<Record<string, Variable>>

type ValueOf<V> =
  V extends Variable<infer T> ? (V extends { readonly optional: true } ? T | undefined : T) : never

/**
 * The values of declared variables, and what is wrong with them: a variable at fault has its default.
 * Whoever makes a configuration of them adds faults of its own, and tells all at once.
 */
export type Environment<V extends Variables> = { readonly [Name in keyof V]: ValueOf<V[Name]> } & {
  readonly faults: readonly string[]
}

/** One or more environment variables are missing or not valid; the message lists all of them. */
export class ConfigurationError extends Error {
  override name = 'ConfigurationError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    )
    this.faults = faults
  }
}

type Options<T> = { description: string; default?: T; secret?: boolean }
type Optional<T> = Variable<T> & { readonly optional: true }

/** A variable that may be left out. */
export function optional<T>(variable: Variable<T>): Optional<T> {
  return { ...variable, optional: true }
}

/** Text, not empty. */
export function text(options: Options<string>): Variable<string> {
  return {
    ...options,
    form: 'text',
    parse: (value) => {
      if (value === '') throw new Error('must not be empty')
      return value
    },
  }
}

/** A whole number in a range. */
export function integer(options: Options<number> & { minimum: number; maximum: number }): Variable<number> {
  const { minimum, maximum } = options
  return {
    ...options,
    form: `integer, ${minimum} to ${maximum}`,
    parse: (value) => {
      const number = Number(value)
      if (!/^-?\d+$/.test(value) || number < minimum || number > maximum) {
        throw new Error(`must be a whole number from ${minimum} to ${maximum}`)
      }
      return number
    },
  }
}

/** A whole number in a range, or `auto`, the default. */
export function automatic(options: {
  description: string
  minimum: number
  maximum: number
}): Variable<number | 'auto'> {
  const number = integer(options)
  return {
    ...number,
    default: 'auto',
    form: `auto or ${number.form}`,
    parse: (value) => (value === 'auto' ? value : number.parse(value)),
  }
}

/** `true` or `false`. */
export function boolean(options: Options<boolean>): Variable<boolean> {
  return {
    ...options,
    form: 'true or false',
    parse: (value) => {
      if (value !== 'true' && value !== 'false') throw new Error('must be true or false')
      return value === 'true'
    },
  }
}

/** One of a list of words. */
export function choice<const T extends string>(choices: readonly T[], options: Options<T>): Variable<T> {
  return {
    ...options,
    form: choices.join(' or '),
    parse: (value) => {
      const found = choices.find((candidate) => candidate === value)
      if (found === undefined) throw new Error(`must be one of ${choices.join(', ')}`)
      return found
    },
  }
}

/** An absolute URL with one of the given schemes; no trailing slash is kept. */
export function url(schemes: readonly string[], options: Options<string>): Variable<string> {
  return {
    ...options,
    form: `URL (${schemes.join(', ')})`,
    parse: (value) => {
      if (!URL.canParse(value) || !schemes.includes(new URL(value).protocol.slice(0, -1))) {
        throw new Error(`must be a URL with the scheme ${schemes.join(' or ')}`)
      }
      return value.replace(/(?<!\/)\/+$/, '')
    },
  }
}

/** A list of words, separated by commas. */
export function list(options: Options<readonly string[]>): Variable<readonly string[]> {
  return {
    ...options,
    form: 'comma-separated list',
    parse: (value) =>
      value
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== ''),
  }
}

/** Reads the declared variables from an environment. */
export function readEnvironment<V extends Variables>(
  variables: V,
  source: NodeJS.ProcessEnv,
): Environment<V> {
  const faults: string[] = []
  const values: Record<string, unknown> = {}
  for (const [name, variable] of Object.entries(variables)) {
    const given = source[name]
    if (given === undefined) {
      if (variable.default === undefined && variable.optional !== true) {
        faults.push(`${name} is required: ${variable.description}`)
      }
      values[name] = variable.default
      continue
    }
    try {
      values[name] = variable.parse(given)
    } catch (error) {
      values[name] = variable.default
      const shown = variable.secret === true ? '' : ` (it is ${JSON.stringify(given)})`
      faults.push(`${name} ${(error as Error).message}${shown}`)
    }
  }
  return { ...values, faults } as unknown as Environment<V>
}
