import { FleetSpec } from '@edgesmith/contract/fleet'
import { Type } from 'typebox'
import { SubmissionForm } from './submission-form.ts'

const { spec: _spec, userData: _userData, ...files } = SubmissionForm.properties

const text = (contentMediaType: string, description: string) =>
  Type.Optional(Type.Unsafe<never>({ type: 'string', contentMediaType, description }))

/** The parts of the form that `POST /v1/fleets` takes. */
export const FleetForm = Type.Object(
  {
    spec: FleetSpec,
    template: text('application/yaml', 'The user-data template: cloud-config YAML with Mustache tags.'),
    sites: text('text/csv', 'The table of sites: CSV, or a JSON array of sites.'),
    ...files,
  },
  { title: 'FleetForm', additionalProperties: false },
)
