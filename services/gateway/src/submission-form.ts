import { BuildSpec } from '@edgesmith/contract/build-spec'
import { compileValidator } from '@edgesmith/service/request-validation'
import { Type } from 'typebox'

const file = (description: string) =>
  Type.Unsafe<never>({ contentMediaType: 'application/octet-stream', description })
const files = (description: string) => Type.Array(file(description), { description })

/** The parts of the form that `POST /v1/builds` and `POST /v1/validations` take. */
export const SubmissionForm = Type.Object(
  {
    spec: BuildSpec,
    userData: Type.Optional(file('The `user-data` file: cloud-config YAML.')),
    argFile: Type.Optional(file('A CanvOS `.arg` file.')),
    contentBundle: Type.Optional(
      files('A content bundle: `.zst`, a plain tar, or `content-*/` directories in a tar; repeatable.'),
    ),
    contentBundleSignature: Type.Optional(files('A detached signature of a content bundle; repeatable.')),
    clusterDefinition: Type.Optional(file('A cluster definition exported from Palette, `.tgz`.')),
    clusterDefinitionSignature: Type.Optional(file('A detached signature of the cluster definition.')),
    publicKey: Type.Optional(
      file('The public key that content is signed with: PEM, DER, or either in base64.'),
    ),
    edgeCustomConfig: Type.Optional(file('The `.edge-custom-config.yaml` that embeds a public key.')),
    cert: Type.Optional(files('A PEM certificate for a proxy or a registry; repeatable.')),
    localUi: Type.Optional(file('The `local-ui.tar` of the Local UI.')),
    secureBoot: Type.Optional(file('A tar of `secure-boot/`, for Trusted Boot.')),
    overlay: Type.Optional(file('A tar laid over the CanvOS tree: `Dockerfile`, `overlay/files/`.')),
  },
  { title: 'SubmissionForm', additionalProperties: false },
)

/** The body of a submission: its JSON or YAML form, and its multipart form. */
export const submissionBody = {
  content: {
    'application/json': { schema: BuildSpec },
    'application/yaml': { schema: BuildSpec },
    'multipart/form-data': { schema: SubmissionForm },
  },
}

/**
 * A route's validator compiler that leaves the body to `readSubmission`, which checks the spec in
 * either form with the same schema.
 */
export const withoutBodyValidation: typeof compileValidator = (route) =>
  route.httpPart === 'body' ? () => true : compileValidator(route)
