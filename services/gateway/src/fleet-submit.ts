import { createHash } from 'node:crypto'
import { canonicalJson } from '@edgesmith/bases/canonical-json'
import type { BuildRepository } from '@edgesmith/builds/build-repository'
import { releaseKey, reserveKey, type Reservation } from '@edgesmith/builds/idempotency'
import { hasErrors } from '@edgesmith/contract/diagnostic'
import type { Fleet } from '@edgesmith/contract/fleet'
import { ProblemError } from '@edgesmith/contract/problem'
import { fleetObject, siteBuild, writeFleet, type FleetRecord } from '@edgesmith/fleets/fleet-record'
import { writePack } from '@edgesmith/fleets/pack'
import { Renderer } from '@edgesmith/fleets/render'
import { valuesOf } from '@edgesmith/fleets/sites-table'
import { v7 as uuidV7 } from 'uuid'
import type { GatewayContext } from './context.ts'
import { diagnoseFleet, diagnosticLimit, type FleetDiagnosis } from './fleet-diagnosis.ts'
import type { FleetRequest } from './fleet-intake.ts'

/** Builds that are created in one go. */
const batch = 200

/**
 * Turns a request into a fleet with a queued build for each site. What the builds are made of is stored, and
 * the fleet is recorded, before its builds are: should this process die, the fleet's job creates the rest.
 * @throws ProblemError `invalid-input` with the diagnostics of all rows, `idempotency-key-reused`,
 * `idempotency-key-in-use`
 */
export async function submitFleet(
  context: GatewayContext,
  request: FleetRequest,
  idempotencyKey: string | undefined,
): Promise<{ fleet: Fleet; replayed: boolean }> {
  const id = uuidV7()
  if (idempotencyKey === undefined) return { fleet: await createFleet(context, request, id), replayed: false }
  const reserved = await reserveKey(context.redis, {
    scope: 'fleets',
    key: idempotencyKey,
    fingerprint: fingerprint(request),
    buildId: id,
  })
  switch (reserved.outcome) {
    case 'replay':
      return { fleet: await context.fleets.get(reserved.buildId), replayed: true }
    case 'mismatch':
      throw new ProblemError(
        'idempotency-key-reused',
        'This Idempotency-Key was sent before with another request. Use a new key for a new fleet.',
      )
    case 'in-progress':
      throw new ProblemError(
        'idempotency-key-in-use',
        'The first request with this Idempotency-Key is still under way. Repeat the request shortly.',
        { headers: { 'retry-after': '1' } },
      )
    case 'new':
      break
  }
  try {
    return { fleet: await createFleet(context, request, id, reserved.reservation), replayed: false }
  } catch (error) {
    await releaseKey(context.redis, reserved.reservation)
    throw error
  }
}

function fingerprint({ spec, submission, template, table }: FleetRequest): string {
  const text = canonicalJson([spec, submission.spec, template, table.rows.map(({ site }) => site)])
  return createHash('sha256').update(text).digest('hex')
}

async function createFleet(
  context: GatewayContext,
  request: FleetRequest,
  id: string,
  reservation?: Reservation,
): Promise<Fleet> {
  const { store, fleets, fleetQueue } = context
  const diagnosis = await diagnoseFleet(context, request)
  const record = toRecord(context, request, diagnosis, id)
  await request.submission.commit()
  try {
    await writePack(store, id, renderAll(request))
    await writeFleet(store, record)
  } catch (error) {
    for (const key of Object.values(fleetObject)) await store.remove(key(id))
    throw error
  }
  const { name, createdAt, sites } = record
  await fleets.create(
    { id, ...(name === undefined ? {} : { name }), createdAt, sites: sites.length },
    reservation,
  )
  await createBuilds(context.repository, record)
  await fleets.complete(id)
  await fleetQueue.enqueue(id)
  return fleets.get(id)
}

/** @throws ProblemError `invalid-input` */
function toRecord(
  { config }: GatewayContext,
  { spec: { name }, submission }: FleetRequest,
  { diagnostics, base, sites, unseen }: FleetDiagnosis,
  id: string,
): FleetRecord {
  const { canvos, target } = base
  if (hasErrors(diagnostics) || canvos === undefined) throw invalidFleet(diagnostics, unseen)
  return {
    id,
    ...(name === undefined ? {} : { name }),
    createdAt: new Date().toISOString(),
    build: {
      target,
      canvos,
      spec: {
        ...submission.spec,
        timeoutSeconds: submission.spec.timeoutSeconds ?? config.buildTimeoutSeconds,
      },
      arguments: base.arguments,
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

/** Creates the builds of all sites. */
async function createBuilds(repository: BuildRepository, record: FleetRecord): Promise<void> {
  const at = new Date(record.createdAt)
  for (let start = 0; start < record.sites.length; start += batch) {
    const sites = record.sites.slice(start, start + batch)
    await Promise.all(sites.map((site) => repository.create(siteBuild(record, site), at)))
  }
}
