import { canonicalJson } from '@edgesmith/bases/canonical-json'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { Build } from '@edgesmith/contract/build'
import { listInputs } from '@edgesmith/contract/build-spec'
import { maskArguments } from './masked-arguments.ts'

/** Type of the statement, and of the predicate in it (in-toto attestation framework; SLSA provenance v1). */
export const statementType = 'https://in-toto.io/Statement/v1'
export const predicateType = 'https://slsa.dev/provenance/v1'

/** What the parameters of the provenance mean: `docs/provenance.md` tells. */
export const buildType = 'urn:edgesmith:build-type:canvos:v1'

export type ProvenanceSubject = {
  readonly artifact: Pick<Artifact, 'name'>
  /** SHA-256 of the artifact, lowercase hex. */
  readonly sha256: string
  /** The build that made it, which has succeeded. */
  readonly build: Build
  /** Who vouches for the build: a URI. */
  readonly builderId: string
}

/** A resource that a build used, or made (in-toto attestation framework, "ResourceDescriptor"). */
type Resource = {
  readonly name: string
  readonly uri: string
  readonly digest?: Readonly<Record<string, string>>
}

/**
 * The statement of how an artifact was made, as JSON. It is the same whenever it is asked for: all of it is from
 * the record of the build.
 */
export function provenanceStatement({ artifact, sha256, build, builderId }: ProvenanceSubject): string {
  const { spec, startedAt, endedAt } = build
  return canonicalJson({
    _type: statementType,
    subject: [{ name: artifact.name, digest: { sha256 } }],
    predicateType,
    predicate: {
      buildDefinition: {
        buildType,
        externalParameters: {
          tag: build.canvos.tag,
          target: build.target,
          arguments: maskArguments(build.arguments),
          inputs: inputsOf(build).map(({ name, digest }) => ({ pointer: name, digest })),
          ...(spec.cache === undefined ? {} : { cache: spec.cache }),
        },
        internalParameters: {
          ...(build.road === undefined ? {} : { road: build.road }),
          ...(build.key === undefined ? {} : { key: build.key }),
          ...(build.engine === undefined ? {} : { engineImages: build.engine.images }),
          attempt: build.attempt,
        },
        resolvedDependencies: [canvosOf(build), ...imagesOf(build), ...baseOf(build), ...inputsOf(build)],
      },
      runDetails: {
        builder: { id: builderId, builderDependencies: enginesOf(build) },
        metadata: {
          invocationId: `urn:edgesmith:build:${build.id}`,
          ...(startedAt === undefined ? {} : { startedOn: startedAt }),
          ...(endedAt === undefined ? {} : { finishedOn: endedAt }),
        },
      },
    },
  })
}

function canvosOf({ canvos: { tag, commit }, engine }: Build): Resource {
  const repository = engine?.repository ?? 'urn:edgesmith:canvos'
  return { name: 'canvos', uri: `git+${repository}@refs/tags/${tag}`, digest: { gitCommit: commit } }
}

function imagesOf({ images = [] }: Build): Resource[] {
  return images.map(({ reference, digest }) => ({
    name: reference,
    uri: `oci://${withoutTag(reference)}@${digest}`,
    digest: { sha256: digest.slice('sha256:'.length) },
  }))
}

/** `registry:5000/name:tag@sha256:…` without what the digest stands for. */
function withoutTag(reference: string): string {
  return reference.replace(/@.*/s, '').replace(/:[^/:]*$/, '')
}

function baseOf({ baseBuildId }: Build): Resource[] {
  return baseBuildId === undefined ? [] : [{ name: 'base', uri: `urn:edgesmith:build:${baseBuildId}` }]
}

function inputsOf({ spec }: Build): (Resource & { readonly digest: { readonly sha256: string } })[] {
  return listInputs(spec.inputs).map(({ pointer, file: { upload } }) => ({
    name: pointer,
    uri: `urn:edgesmith:upload:${upload}`,
    digest: { sha256: upload.slice('sha256:'.length) },
  }))
}

function enginesOf({ engine }: Build): Resource[] {
  return (engine?.images ?? []).map((id) => ({
    name: 'engine',
    uri: `urn:edgesmith:engine-image:${id}`,
    digest: { sha256: id.slice('sha256:'.length) },
  }))
}
