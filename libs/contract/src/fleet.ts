import { Type, type Static } from 'typebox'
import { BuildInputs, BuildSpec, InputFile, Labels } from './build-spec.ts'
import { BuildState } from './build.ts'
import { Diagnostic } from './diagnostic.ts'
import { ArtifactId, BuildId, Cursor, FileName, NextCursor, Sha256Hex, Timestamp } from './identifiers.ts'
import { ProjectId, TenantId } from './project.ts'

/** Most sites of a fleet. */
export const siteLimit = 10_000

/** Most characters of a template. */
const templateLimit = 1024 * 1024

/** Identifier of a fleet: a UUID version 7. */
export const FleetId = Type.String({
  format: 'uuid',
  description: 'Identifier of a fleet (UUID version 7, sorts by creation time).',
  examples: ['01939c70-1c55-7d1a-8a43-2f6d0c9b7e55'],
})

/**
 * Name of a site. It ends up in `ISO_NAME`, in file names and in a label, and has to mean the same in
 * each of them.
 */
export const SiteName = Type.String({
  pattern: '^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$',
  description: 'Name of a site: lowercase letters, digits, `-` and `_`; 63 at the most.',
  examples: ['store-0042'],
})

/** Name of a value, as a template's tags and the header of a CSV table have it. */
export const ValueName = Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_-]{0,63}$' })

/** What a tag of the template is replaced by. */
export const SiteValue = Type.Union([Type.String({ maxLength: 65_536 }), Type.Number(), Type.Boolean()])

/** The files that a site may have of its own: `argFile` is the fleet's, and user-data is rendered. */
export const SiteInputs = Type.Omit(BuildInputs, ['userData', 'argFile'], {
  title: 'SiteInputs',
  additionalProperties: false,
  description: 'Files of this site alone; each role replaces that of the build spec.',
})

/** One row of a fleet's table. */
export const Site = Type.Object(
  {
    name: SiteName,
    values: Type.Optional(
      Type.Record(ValueName, SiteValue, {
        additionalProperties: false,
        maxProperties: 256,
        description: "What the template's tags are replaced by. `site` is there by itself.",
      }),
    ),
    inputs: Type.Optional(SiteInputs),
    labels: Type.Optional(Labels),
  },
  { title: 'Site', additionalProperties: false, description: 'One site of a fleet.' },
)

/** A fleet's base: a build spec that says nothing of user-data. */
export const FleetBuildSpec = Type.Object(
  {
    ...BuildSpec.properties,
    target: Type.Optional(Type.Enum(['iso'], { description: 'A fleet is of ISOs.' })),
    inputs: Type.Optional(Type.Omit(BuildInputs, ['userData'], { additionalProperties: false })),
  },
  {
    title: 'FleetBuildSpec',
    additionalProperties: false,
    description: 'What the ISOs of all sites have in common: a build spec without user-data.',
  },
)

const uploaded = (description: string) =>
  Type.Optional(
    Type.Object({ upload: InputFile.properties.upload }, { additionalProperties: false, description }),
  )

/** What a client asks for. */
export const FleetSpec = Type.Object(
  {
    name: Type.Optional(
      Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000-\\u001f\\u007f]*$' }),
    ),
    build: Type.Optional(FleetBuildSpec),
    template: uploaded('The user-data template, uploaded before.'),
    userDataTemplate: Type.Optional(
      Type.String({ minLength: 1, maxLength: templateLimit, description: 'The user-data template itself.' }),
    ),
    sites: Type.Optional(Type.Array(Site, { minItems: 1, maxItems: siteLimit })),
    sitesTable: uploaded('The table of sites, uploaded before: CSV, or a JSON array of sites.'),
  },
  {
    title: 'FleetSpec',
    additionalProperties: false,
    description:
      'One base, one template, one table: `template` or `userDataTemplate`, and `sites` or `sitesTable`.',
    examples: [
      {
        name: 'spring rollout',
        build: {
          canvos: { tag: 'v4.9.36' },
          arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' },
        },
        userDataTemplate:
          '#cloud-config\nstylus:\n  site:\n    edgeHostToken: {{token}}\n    name: {{site}}\n    paletteEndpoint: api.spectrocloud.com\n',
        sites: [{ name: 'store-0042', values: { token: 'aUAxxxxxxxxx0ChYCrO' } }],
      },
    ],
  },
)

/** The state of a fleet, from those of its builds. */
export const FleetState = Type.Enum(['queued', 'running', 'succeeded', 'failed', 'canceled'], {
  description:
    '`queued` until a build runs, `running` until all have ended; then `succeeded` when all did, `failed` when one failed or timed out, else `canceled`.',
})

const count = Type.Integer({ minimum: 0 })

const example = {
  id: '01939c70-1c55-7d1a-8a43-2f6d0c9b7e55',
  tenant: 'acme',
  project: 'stores',
  name: 'spring rollout',
  state: 'running',
  createdAt: '2026-03-14T09:26:53.589Z',
  sites: 1000,
  builds: { queued: 0, running: 1, succeeded: 999, failed: 0, canceled: 0, 'timed-out': 0 },
}

/** A fleet and how far it is. */
export const Fleet = Type.Object(
  {
    id: FleetId,
    tenant: TenantId,
    project: ProjectId,
    name: Type.Optional(Type.String()),
    state: FleetState,
    createdAt: Timestamp,
    sites: Type.Integer({ minimum: 1, description: 'How many sites it has.' }),
    builds: Type.Object(
      { queued: count, running: count, succeeded: count, failed: count, canceled: count, 'timed-out': count },
      { additionalProperties: false, description: 'How many builds are in each state.' },
    ),
  },
  { title: 'Fleet', additionalProperties: false, description: 'A fleet of ISOs.', examples: [example] },
)

/** Query of `GET /v1/fleets`. */
export const ListFleetsQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Fleets in a page.' }),
    cursor: Type.Optional(Cursor),
  },
  { additionalProperties: false },
)

const nextCursor = Type.Optional(NextCursor)

/** One page of fleets, newest first. */
export const FleetPage = Type.Object(
  { items: Type.Array(Fleet), nextCursor },
  { title: 'FleetPage', additionalProperties: false, examples: [{ items: [example] }] },
)

/** One site and its build. */
export const FleetSite = Type.Object(
  {
    site: SiteName,
    buildId: BuildId,
    state: BuildState,
    artifactId: Type.Optional(
      Type.Intersect([ArtifactId], { description: 'Its ISO, once the build has succeeded.' }),
    ),
  },
  { title: 'FleetSite', additionalProperties: false },
)

/** Query of `GET /v1/fleets/{id}/sites`. */
export const ListSitesQuery = Type.Object(
  {
    state: Type.Optional(BuildState),
    limit: Type.Integer({ minimum: 1, maximum: 1000, default: 200, description: 'Sites in a page.' }),
    cursor: Type.Optional(Cursor),
  },
  { additionalProperties: false },
)

/** One page of a fleet's sites, in the order of the table. */
export const FleetSitePage = Type.Object(
  { items: Type.Array(FleetSite), nextCursor },
  {
    title: 'FleetSitePage',
    additionalProperties: false,
    examples: [
      {
        items: [
          {
            site: 'store-0042',
            buildId: '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11',
            state: 'succeeded',
            artifactId: '01939c6b-77d2-7a54-8f0e-5e2f3b9c4d22',
          },
        ],
      },
    ],
  },
)

/** Query of `GET /v1/fleets/{id}/downloads`. */
export const DownloadsQuery = Type.Object(
  {
    format: Type.Optional(
      Type.Enum(['json', 'csv', 'sha256sum'], {
        description: 'Format of the answer; by default what `Accept` asks for, JSON if nothing.',
      }),
    ),
    ttlSeconds: Type.Integer({
      minimum: 1,
      maximum: 604_800,
      default: 86_400,
      description: 'How long the URLs are valid, in seconds; a week at the most.',
    }),
  },
  { additionalProperties: false },
)

/** The ISO of a site, ready to download. */
export const FleetDownload = Type.Object(
  {
    site: SiteName,
    buildId: BuildId,
    artifactId: ArtifactId,
    name: FileName,
    size: Type.Integer({ minimum: 0, description: 'Size in bytes.' }),
    sha256: Type.Optional(Sha256Hex),
    url: Type.String({ format: 'uri', description: 'Signed URL; takes GET and HEAD, and Range.' }),
    expiresAt: Timestamp,
  },
  { title: 'FleetDownload', additionalProperties: false },
)

/** The ISOs of a fleet that are ready, in the order of the table. */
export const FleetDownloads = Type.Object(
  {
    items: Type.Array(FleetDownload),
    missing: Type.Integer({ minimum: 0, description: 'How many sites have no ISO yet, or none at all.' }),
    checksumsMissing: Type.Integer({
      minimum: 0,
      description: 'How many items have no `sha256` yet; asking for `format=sha256sum` has them computed.',
    }),
  },
  {
    title: 'FleetDownloads',
    additionalProperties: false,
    examples: [
      {
        items: [
          {
            site: 'store-0042',
            buildId: '01939c5e-3f8a-7c3e-9d7e-0b1f6f3a2c11',
            artifactId: '01939c6b-77d2-7a54-8f0e-5e2f3b9c4d22',
            name: 'store-0042.iso',
            size: 2147483648,
            url: 'http://127.0.0.1:8083/v1/downloads/01939c6b-77d2-7a54-8f0e-5e2f3b9c4d22/store-0042.iso?project=acme%2Fstores&expires=1773484013&signature=kq0ZBbJ9d3mS8yQ1w6vTn4cXh2rUeLfGpA7oIiYzDsE',
            expiresAt: '2026-03-14T10:26:53.000Z',
          },
        ],
        missing: 0,
        checksumsMissing: 1,
      },
    ],
  },
)

/** What the gateway asks the validation service of many rows. Inside the service only. */
export const UserDataBatchRequest = Type.Object(
  {
    surroundings: Type.Object(
      { embeddedPublicKey: Type.Boolean(), trustedBoot: Type.Boolean(), twoNode: Type.Boolean() },
      { additionalProperties: false },
    ),
    userData: Type.Array(Type.String(), { maxItems: siteLimit }),
  },
  { title: 'UserDataBatchRequest', additionalProperties: false },
)

/** The diagnostics of each, in the order of the request. Inside the service only. */
export const UserDataBatchResult = Type.Object(
  { diagnostics: Type.Array(Type.Array(Diagnostic)) },
  { title: 'UserDataBatchResult', additionalProperties: false },
)

/** What the gateway asks the artifact service. Inside the service only. */
export const DownloadUrlBatchRequest = Type.Object(
  {
    ttlSeconds: Type.Integer({ minimum: 1, maximum: 604_800 }),
    artifacts: Type.Array(Type.Object({ id: ArtifactId, name: FileName }, { additionalProperties: false }), {
      maxItems: siteLimit,
    }),
  },
  { title: 'DownloadUrlBatchRequest', additionalProperties: false },
)

/** The signed URLs, in the order of the request. Inside the service only. */
export const DownloadUrlBatchResult = Type.Object(
  { urls: Type.Array(Type.String()), expiresAt: Timestamp },
  { title: 'DownloadUrlBatchResult', additionalProperties: false },
)

export type DownloadUrlBatchRequest = Static<typeof DownloadUrlBatchRequest>
export type DownloadUrlBatchResult = Static<typeof DownloadUrlBatchResult>
export type DownloadsQuery = Static<typeof DownloadsQuery>
export type Fleet = Static<typeof Fleet>
export type FleetBuildSpec = Static<typeof FleetBuildSpec>
export type FleetDownload = Static<typeof FleetDownload>
export type FleetDownloads = Static<typeof FleetDownloads>
export type FleetPage = Static<typeof FleetPage>
export type FleetSite = Static<typeof FleetSite>
export type FleetSitePage = Static<typeof FleetSitePage>
export type FleetSpec = Static<typeof FleetSpec>
export type FleetState = Static<typeof FleetState>
export type ListFleetsQuery = Static<typeof ListFleetsQuery>
export type ListSitesQuery = Static<typeof ListSitesQuery>
export type Site = Static<typeof Site>
export type SiteInputs = Static<typeof SiteInputs>
export type SiteValue = Static<typeof SiteValue>
export type UserDataBatchRequest = Static<typeof UserDataBatchRequest>
export type UserDataBatchResult = Static<typeof UserDataBatchResult>
