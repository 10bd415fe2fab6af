import type { Reservation } from '@edgesmith/builds/idempotency'
import { hasErrors } from '@edgesmith/contract/diagnostic'
import type { Fleet } from '@edgesmith/contract/fleet'
import { ProblemError } from '@edgesmith/contract/problem'
import { projectOf } from '@edgesmith/contract/project'
import { createBuilds } from '@edgesmith/fleets/create-builds'
import { fleetObject, readFleet, writeFleet, type FleetRecord } from '@edgesmith/fleets/fleet-record'
import { writePack } from '@edgesmith/fleets/pack'
import { Renderer } from '@edgesmith/fleets/render'
import { valuesOf } from '@edgesmith/fleets/sites-table'
import { sealArguments, withoutPasswords } from '@edgesmith/secrets/sealed-arguments'
import { v7 as uuidV7 } from 'uuid'
import { admitBuilds } from './admission.ts'
import type { ProjectContext } from './context.ts'
import { diagnoseFleet, diagnosticLimit, type FleetDiagnosis } from './fleet-diagnosis.ts'
import type { FleetRequest } from './fleet-intake.ts'
import { onceForKey } from './once-for-key.ts'
import { vaultOf } from './vault.ts'

/**
 * Turns a request into a fleet with a queued build for each site. What the builds are made of is stored, and
 * the fleet is recorded, before its builds are: should this process die, the fleet's job creates the rest.
 * @throws ProblemError `invalid-input` with the diagnostics of all rows, `idempotency-key-reused`,
 * `idempotency-key-in-use`
 */
export async function submitFleet(
  context: ProjectContext,
  request: FleetRequest,
  idempotencyKey: string | undefined,
): Promise<{ fleet: Fleet; replayed: boolean }> {
  const { spec, submission, template, table } = request
  const { made, replayed } = await onceForKey(context, {
    project: context.principal,
    scope: 'fleets',
    key: idempotencyKey,
    says: [spec, submission.spec, template, table.rows.map(({ site }) => site)],
    make: (id, reservation) => createFleet(context, request, id, reservation),
    find: async (id) => {
      const flags = await context.fleets.readFlags(id)
      // Redis went away in between.
      const completed = flags?.isComplete === false ? await resumeFleet(context, id) : undefined
      return completed ?? context.fleets.get(id)
    },
    resume: ({ buildId: fleetId }) => resumeFleet(context, fleetId),
    isAccepted: async (id) => (await context.store.stat(fleetObject.record(id))) !== undefined,
  })
  return { fleet: made, replayed }
}

async function createFleet(
  context: ProjectContext,
  request: FleetRequest,
  id: string,
  reservation: Reservation | undefined,
): Promise<Fleet> {
  const { store } = context
  const diagnosis = await diagnoseFleet(context, request)
  const record = {
    ...toRecord(context, request, diagnosis, id),
    ...(reservation === undefined ? {} : { reservation }),
  }
  await admitBuilds(context, record.sites.length)
  await request.submission.commit()
  try {
    await writePack(store, id, renderAll(request))
    await writeFleet(store, record)
  } catch (error) {
    for (const key of Object.values(fleetObject)) await store.remove(key(id))
    throw error
  }
  return admitFleet(context, record)
}

/** Goes on with a fleet that is stored; undefined where there is none. */
async function resumeFleet(context: ProjectContext, id: string): Promise<Fleet | undefined> {
  const record = await readFleet(context.store, id)
  return record === undefined ? undefined : admitFleet(context, record)
}

/** Creates a fleet that is stored, with its builds. Once more does no harm. */
async function admitFleet(
  { repository, fleets, fleetQueue }: ProjectContext,
  record: FleetRecord,
): Promise<Fleet> {
  const { id, tenant, project, name, createdAt, sites, reservation } = record
  await fleets.create(
    { id, tenant, project, ...(name === undefined ? {} : { name }), createdAt, sites: sites.length },
    reservation,
  )
  await createBuilds(repository, record)
  await fleets.complete(id)
  await fleetQueue.enqueue(id)
  return fleets.get(id)
}

/** @throws ProblemError `invalid-input` */
function toRecord(
  context: ProjectContext,
  { spec: { name }, submission }: FleetRequest,
  { diagnostics, base, sites, unseen }: FleetDiagnosis,
  id: string,
): FleetRecord {
  const { config, principal } = context
  const { canvos, target } = base
  if (hasErrors(diagnostics) || canvos === undefined) throw invalidFleet(diagnostics, unseen)
  return {
    id,
    ...projectOf(principal),
    ...(name === undefined ? {} : { name }),
    createdAt: new Date().toISOString(),
    build: {
      target,
      canvos,
      spec: {
        ...withoutPasswords(submission.spec),
        timeoutSeconds: submission.spec.timeoutSeconds ?? config.buildTimeoutSeconds,
      },
      ...sealArguments(vaultOf(context), base.arguments),
      diagnostics: base.diagnostics,
    },
    sites: sites.map(({ row: { site }, userData, own, diagnostics: hints }) => ({
      name: site.name,
      buildId: uuidV7(),
      artifactId: uuidV7(),
      userData,
      ...(site.labels === undefined ? {} : { labels: site.labels }),
      ...(own === undefined ? {} : { own }),
      diagnostics: hints,
    })),
  }
}

function invalidFleet(diagnostics: FleetDiagnosis['diagnostics'], unseen: number): ProblemError {
  const errors = diagnostics.filter(({ severity }) => severity === 'error')
  const codes = [...new Set(errors.map(({ code }) => code))].join(', ')
  const told = errors.length > diagnosticLimit ? ` The first ${diagnosticLimit} are told.` : ''
  const rest = unseen > 0 ? ` ${unseen} rows were not looked at.` : ''
  const count = `${errors.length} ${errors.length === 1 ? 'error' : 'errors'}`
  const isTooMany = diagnostics.length > diagnosticLimit
  return new ProblemError('invalid-input', `${count}: ${codes}.${told}${rest}`, {
    errors: isTooMany ? errors.slice(0, diagnosticLimit) : diagnostics,
  })
}

/** Renders once more what was judged: user-data of many sites is never held together. */
function* renderAll({ template, table }: FleetRequest): Generator<Buffer> {
  const { renderer } = Renderer.of(template)
  for (const { site } of table.rows) {
    const text = renderer?.render(valuesOf(site)).text
    if (text === undefined) throw new Error(`The user-data of the site ${site.name} was rendered before.`)
    yield Buffer.from(text)
  }
}
