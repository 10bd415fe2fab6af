import { Type, type Static } from 'typebox'
import { Diagnostic } from './diagnostic.ts'

/**
 * Every error the API answers, declared once: its code (the end of the problem's `type`), HTTP
 * status and title. `docs/problems.md` explains each.
 */
export const problems = {
  'malformed-request': { status: 400, title: 'The request cannot be read' },
  'invalid-parameter': { status: 400, title: 'A parameter of the request is not valid' },
  unauthorized: { status: 401, title: 'Credentials are missing or not valid' },
  forbidden: { status: 403, title: 'The credentials do not allow this' },
  'invalid-signature': { status: 403, title: 'The signed URL is not valid' },
  'expired-signature': { status: 403, title: 'The signed URL has expired' },
  'revoked-signature': { status: 403, title: 'The signed URL has been revoked' },
  'used-up-signature': { status: 403, title: 'The signed URL has been used as often as it may be' },
  'wrong-client-address': { status: 403, title: 'The signed URL is for another client' },
  'not-found': { status: 404, title: 'There is no such resource' },
  'project-not-found': { status: 404, title: 'There is no such project' },
  'tenant-not-found': { status: 404, title: 'There is no such tenant' },
  'key-not-found': { status: 404, title: 'There is no such API key' },
  'build-not-found': { status: 404, title: 'There is no such build' },
  'upload-not-found': { status: 404, title: 'There is no such upload' },
  'artifact-not-found': { status: 404, title: 'There is no such artifact' },
  'fleet-not-found': { status: 404, title: 'There is no such fleet' },
  'site-not-found': { status: 404, title: 'The fleet has no such site' },
  'download-url-not-found': { status: 404, title: 'There is no such signed URL' },
  'secret-not-found': { status: 404, title: 'There is no such secret' },
  'release-not-found': { status: 404, title: 'There is no such CanvOS release' },
  'method-not-allowed': { status: 405, title: 'The resource does not take this method' },
  'not-acceptable': { status: 406, title: 'None of the accepted media types can be answered' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  'state-conflict': { status: 409, title: 'The build is not in a state that allows this' },
  'project-exists': { status: 409, title: 'There is such a project already' },
  'project-in-use': { status: 409, title: 'The project still holds something' },
  'too-many-projects': { status: 409, title: 'The tenant has as many projects as may be' },
  'tenant-exists': { status: 409, title: 'There is such a tenant already' },
  'tenant-in-use': { status: 409, title: 'The tenant still holds something' },
  'key-revoked': { status: 409, title: 'The API key has been revoked' },
  'key-is-configured': { status: 409, title: 'The API key is set by the configuration of the service' },
  'provenance-unavailable': { status: 409, title: 'The provenance of the artifact cannot be told' },
  'sbom-unavailable': { status: 409, title: 'The packages of the artifact cannot be listed' },
  'checksums-pending': { status: 409, title: 'The checksums are still being computed' },
  'retention-running': { status: 409, title: 'Another run of retention is under way' },
  'retention-refused': { status: 409, title: 'Retention would remove what it must not' },
  'idempotency-key-in-use': { status: 409, title: 'A request with this Idempotency-Key is under way' },
  'upload-offset-conflict': { status: 409, title: 'The upload goes on at another offset' },
  'upload-expired': { status: 410, title: 'The resumable upload has expired' },
  'precondition-failed': { status: 412, title: 'The file is not the one that the request is about' },
  'policies-changed': { status: 412, title: 'The policies have been changed meanwhile' },
  'unsupported-tus-version': { status: 412, title: 'This version of the tus protocol is not spoken here' },
  'content-too-large': { status: 413, title: 'The request is larger than allowed' },
  'uri-too-long': { status: 414, title: 'The URL is longer than allowed' },
  'unsupported-media-type': { status: 415, title: 'The media type is not supported here' },
  'range-not-satisfiable': { status: 416, title: 'The range lies outside the file' },
  'invalid-body': { status: 422, title: 'The body does not fit its schema' },
  'empty-file': { status: 422, title: 'The file has no content' },
  'corrupt-file': { status: 422, title: 'The file is broken or cannot be opened safely' },
  'digest-mismatch': { status: 422, title: 'The content does not have the digest it was sent with' },
  'not-an-iso': { status: 422, title: 'The artifact is no ISO image that can be read' },
  'invalid-input': { status: 422, title: 'The inputs of the build have faults' },
  'idempotency-key-reused': { status: 422, title: 'The Idempotency-Key was used for a different request' },
  'upload-locked': { status: 423, title: 'Another request is working on the upload' },
  'header-fields-too-large': { status: 431, title: 'The header fields are too large' },
  'checksum-mismatch': { status: 460, title: 'The bytes do not have the checksum they were sent with' },
  'too-many-requests': { status: 429, title: 'More requests came than are answered' },
  'queue-full': { status: 429, title: 'As many builds are waiting as may' },
  'too-many-uploads': { status: 429, title: 'As many uploads are under way as may be' },
  internal: { status: 500, title: 'The service failed unexpectedly' },
  'stored-bytes-damaged': { status: 500, title: 'Stored bytes are damaged' },
  'secret-damaged': { status: 500, title: 'What is stored of a secret is damaged' },
  'upstream-unavailable': { status: 503, title: 'A part of the service cannot be reached' },
  'secrets-unavailable': { status: 503, title: 'The service has no key for secrets' },
  'audit-unavailable': { status: 503, title: 'What was asked for cannot be recorded' },
  'shutting-down': { status: 503, title: 'The service is shutting down' },
  'quota-exceeded': { status: 507, title: 'The store has no room for the upload' },
} as const satisfies Record<string, { status: number; title: string }>

export type ProblemCode = keyof typeof problems

const typePrefix = 'urn:edgesmith:problem:'

/** The stable `type` URI of a problem code. */
export function problemType(code: string): string {
  return `${typePrefix}${code}`
}

/** RFC 9457 problem details, answered as `application/problem+json` for every error. */
export const Problem = Type.Object(
  {
    type: Type.String({
      format: 'uri',
      description: 'Stable identifier of the kind of problem.',
      examples: ['urn:edgesmith:problem:invalid-input'],
    }),
    title: Type.String({ description: 'Short summary of the kind of problem.' }),
    status: Type.Integer({ minimum: 400, maximum: 599, description: 'HTTP status code.' }),
    detail: Type.Optional(Type.String({ description: 'What happened here and what to do about it.' })),
    instance: Type.Optional(
      Type.String({ description: 'Identifier of this occurrence; the same id is in the service log.' }),
    ),
    errors: Type.Optional(Type.Array(Diagnostic, { description: 'Every fault found, not only the first.' })),
  },
  {
    title: 'Problem',
    description: 'RFC 9457 problem details.',
    examples: [
      {
        type: 'urn:edgesmith:problem:invalid-input',
        title: 'The inputs of the build have faults',
        status: 422,
        detail: '1 error: canvos.unknown-tag',
        errors: [
          {
            severity: 'error',
            code: 'canvos.unknown-tag',
            message: 'CanvOS has no tag v4.9.999. The newest release is v4.9.36.',
            source: 'spec',
            pointer: '/canvos/tag',
          },
        ],
      },
    ],
  },
)

export type Problem = Static<typeof Problem>

/** An error that the API answers as a problem. Thrown anywhere, mapped once in `@edgesmith/service`. */
export class ProblemError extends Error {
  override name = 'ProblemError'
  readonly code: ProblemCode
  readonly errors: readonly Diagnostic[]
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: ProblemCode,
    detail: string,
    options: { errors?: readonly Diagnostic[]; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(detail, { cause: options.cause })
    this.code = code
    this.errors = options.errors ?? []
    this.headers = options.headers ?? {}
  }
}

/** The problem document of an error. */
export function toProblem(error: ProblemError, instance?: string): Problem {
  const { status, title } = problems[error.code]
  return {
    type: problemType(error.code),
    title,
    status,
    detail: error.message,
    ...(instance === undefined ? {} : { instance }),
    ...(error.errors.length === 0 ? {} : { errors: [...error.errors] }),
  }
}
