import { createBuild } from '@edgesmith/builds/build-state'
import { Reservation } from '@edgesmith/builds/idempotency'
import { Build } from '@edgesmith/contract/build'
import { Labels } from '@edgesmith/contract/build-spec'
import { FleetId, SiteInputs, SiteName } from '@edgesmith/contract/fleet'
import { ArtifactId, BuildId, Sha256Hex, Timestamp } from '@edgesmith/contract/identifiers'
import { ProjectId, TenantId } from '@edgesmith/contract/project'
import { readJson, writeJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { Type, type Static } from 'typebox'

/** What builds have in common: those of all sites, or those that take the same files. */
const BuildOf = Type.Pick(Build, ['target', 'canvos', 'spec', 'arguments', 'sealedArguments', 'diagnostics'])

/** A site of a fleet. All that is made for it has its identifier before anything is made. */
const SiteRecord = Type.Object(
  {
    name: SiteName,
    buildId: BuildId,
    /** Of its ISO, where that is stamped by the fleet. */
    artifactId: ArtifactId,
    /** Its user-data, as it is in the pack. */
    userData: Type.Object(
      { sha256: Sha256Hex, size: Type.Integer({ minimum: 0 }) },
      { additionalProperties: false },
    ),
    labels: Type.Optional(Labels),
    /** Files of its own, and what the build takes them into. */
    own: Type.Optional(
      Type.Object(
        {
          inputs: SiteInputs,
          arguments: Build.properties.arguments,
          sealedArguments: Build.properties.sealedArguments,
          diagnostics: Build.properties.diagnostics,
        },
        { additionalProperties: false },
      ),
    ),
    /** Warnings and hints about its user-data. */
    diagnostics: Build.properties.diagnostics,
  },
  { additionalProperties: false },
)

/** A fleet as it is recorded in the store: it never changes. */
export const FleetRecord = Type.Object(
  {
    id: FleetId,
    tenant: TenantId,
    project: ProjectId,
    name: Type.Optional(Type.String()),
    createdAt: Timestamp,
    build: BuildOf,
    sites: Type.Array(SiteRecord),
    /** The `Idempotency-Key` of the request, where it had one. */
    reservation: Type.Optional(Reservation),
  },
  { additionalProperties: false },
)

export type FleetRecord = Static<typeof FleetRecord>
export type SiteRecord = Static<typeof SiteRecord>

/** Keys of a fleet's objects. */
export const fleetObject = {
  record: (id: string) => `fleets/${id}/fleet.json`,
  /** Is there once a client canceled the fleet. */
  canceled: (id: string) => `fleets/${id}/canceled`,
  /** The user-data of all sites, each behind its length as an image has it: what the stamps replace. */
  pack: (id: string) => `fleets/${id}/pack`,
} as const

export async function writeFleet(store: ObjectStore, record: FleetRecord): Promise<void> {
  await writeJson(store, fleetObject.record(record.id), record)
}

export async function readFleet(store: ObjectStore, id: string): Promise<FleetRecord | undefined> {
  return readJson(store, fleetObject.record(id), FleetRecord)
}

/** The queued build of a site. */
export function siteBuild({ id, tenant, project, createdAt, build }: FleetRecord, site: SiteRecord): Build {
  const { spec, canvos, target } = build
  const isoName = isoNameOf(build.arguments, spec.arguments, site.name)
  const { sealedArguments } = site.own ?? build
  const labels = { ...spec.labels, ...site.labels, site: site.name }
  return createBuild(
    {
      id: site.buildId,
      tenant,
      project,
      target,
      canvos,
      spec: {
        ...spec,
        arguments: { ...spec.arguments, ISO_NAME: isoName },
        inputs: {
          ...spec.inputs,
          ...site.own?.inputs,
          userData: { upload: `sha256:${site.userData.sha256}`, fileName: 'user-data' },
        },
        labels,
      },
      arguments: { ...(site.own?.arguments ?? build.arguments), ISO_NAME: isoName },
      ...(sealedArguments === undefined ? {} : { sealedArguments }),
      labels,
      diagnostics: [...(site.own?.diagnostics ?? build.diagnostics), ...site.diagnostics],
      fleet: { id, site: site.name },
    },
    new Date(createdAt),
  )
}

/**
 * Most characters of the name of a site's ISO, without `.iso`: CanvOS's `ISO_NAME` takes 100, and a tar's header
 * has room for 100 (POSIX.1-1988, `name`).
 */
export const isoNameLimit = 96

/** Name of a site's ISO, without `.iso`: the fleet's, where it has one, in front of the site's. */
export function isoNameOf(
  buildArguments: Readonly<Record<string, string>>,
  given: Build['spec']['arguments'],
  site: string,
): string {
  const prefix = buildArguments['ISO_NAME'] ?? given?.['ISO_NAME']
  return prefix === undefined ? site : `${String(prefix)}-${site}`
}
