import type { Static, TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'

/** What a compiled schema is used for; `Parse` throws where a value does not fit. */
export type SchemaValidator<Schema extends TSchema> = {
  Check(value: unknown): value is Static<Schema>
  Parse(value: unknown): Static<Schema>
}

const validators = new WeakMap<TSchema, Validator>()

/** The validator of a schema, compiled once: records are checked whenever they are read. */
export function validatorOf<Schema extends TSchema>(schema: Schema): SchemaValidator<Schema> {
  const known = validators.get(schema)
  const validator = known ?? Compile(schema)
  if (known === undefined) validators.set(schema, validator)
  return validator as SchemaValidator<Schema>
}
