import { Envelope } from '@edgesmith/contract/provenance'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { openEnvelope } from './envelope.ts'
import type { KeyPair } from './keys.ts'
import { buildType, predicateType, statementType } from './statement.ts'

/** What verifying reads of a statement. */
const Statement = Type.Object({
  _type: Type.Literal(statementType),
  subject: Type.Array(Type.Object({ name: Type.String(), digest: Type.Object({ sha256: Type.String() }) })),
  predicateType: Type.Literal(predicateType),
  predicate: Type.Object({
    buildDefinition: Type.Object({
      buildType: Type.Literal(buildType),
      externalParameters: Type.Object({ tag: Type.String(), target: Type.String() }),
      resolvedDependencies: Type.Array(
        Type.Object({
          name: Type.String(),
          uri: Type.String(),
          digest: Type.Optional(Type.Record(Type.String(), Type.String())),
        }),
      ),
    }),
    runDetails: Type.Object({
      builder: Type.Object({ id: Type.String() }),
      metadata: Type.Object({ invocationId: Type.String() }),
    }),
  }),
})

export type Statement = Static<typeof Statement>

/** Provenance does not show that a file is what it is about; the message says why. */
export class NotVerified extends Error {
  override name = 'NotVerified'
}

export type Claim = {
  /** The provenance as it was handed out: JSON of an envelope. */
  readonly provenance: string
  /** SHA-256 of the file, lowercase hex. */
  readonly sha256: string
  /** Keys that are trusted. */
  readonly keys: readonly KeyPair[]
  /** Who has to vouch for it; anybody who has the keys when left out. */
  readonly builderId?: string | undefined
}

/**
 * Checks that a file is what its provenance is about, and that one of the keys has signed that.
 * @throws NotVerified
 */
export function verifyProvenance({ provenance, sha256, keys, builderId }: Claim): Statement {
  const envelope = parseJson(provenance)
  if (!Value.Check(Envelope, envelope))
    throw new NotVerified('It is not an envelope of an in-toto statement.')
  const opened = openEnvelope(envelope, keys)
  if (opened === undefined) throw new NotVerified('None of the keys has signed it as it is.')
  const statement = parseJson(opened)
  if (!Value.Check(Statement, statement)) {
    throw new NotVerified(`It is not SLSA v1 provenance of the build type ${buildType}.`)
  }
  const about = statement.subject.map(({ name, digest }) => `${name} (sha256:${digest.sha256})`).join(', ')
  if (!statement.subject.some(({ digest }) => digest.sha256 === sha256)) {
    throw new NotVerified(`The file has the SHA-256 ${sha256}; the provenance is about ${about}.`)
  }
  const { id } = statement.predicate.runDetails.builder
  if (builderId !== undefined && id !== builderId) {
    throw new NotVerified(`The builder is ${id}, not ${builderId}.`)
  }
  return statement
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
