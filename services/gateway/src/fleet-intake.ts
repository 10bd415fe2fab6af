import { buffer } from 'node:stream/consumers'
import type { FastifyRequest } from 'fastify'
import { inputRoles } from '@edgesmith/contract/build-spec'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { FleetSpec } from '@edgesmith/contract/fleet'
import { ProblemError } from '@edgesmith/contract/problem'
import { checkSites, readSitesTable, type SitesTable } from '@edgesmith/fleets/sites-table'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { findUpload } from '@edgesmith/uploads/uploads'
import type { UploadLimits } from '@edgesmith/uploads/upload-limits'
import { readForm, type FormParts } from './intake.ts'
import { checkDocument, parseSpec, specLimitBytes } from './spec-document.ts'
import { Submission } from './submission.ts'

/** Most bytes a template may have. */
const templateLimitBytes = 1024 * 1024

/** Most bytes a table of sites may have, and a fleet spec with the sites inside. */
export const tableLimitBytes = 32 * 1024 * 1024

const parts: FormParts = {
  texts: { spec: specLimitBytes, template: templateLimitBytes, sites: tableLimitBytes },
  roles: inputRoles.filter((role) => role !== 'userData'),
}

/** A fleet that is asked for. Until `submission.commit`, files that came along belong to the request alone. */
export type FleetRequest = {
  readonly spec: FleetSpec
  /** What the builds have in common, user-data apart. */
  readonly submission: Submission
  readonly template: string
  readonly table: SitesTable
}

type IntakeOptions = { readonly store: ObjectStore; readonly limits: UploadLimits }

/**
 * Reads a fleet spec, its template and its table: a JSON or YAML body, or `multipart/form-data` with a part
 * `spec`, parts `template` and `sites`, and the files of a build as parts named by role. Dispose of the
 * answer's submission.
 * @throws ProblemError with every fault; nothing is left in the store then.
 */
export async function readFleetRequest(
  request: FastifyRequest,
  options: IntakeOptions,
): Promise<FleetRequest> {
  if (!request.isMultipart()) {
    const body = typeof request.body === 'string' ? parseSpec(request.body) : request.body
    const spec = checkFleetSpec(body)
    return assemble(options.store, spec, {}, new Submission(options.store, spec.build ?? {}, []))
  }
  // What has come so far is worth to wait for the store.
  const store = options.store.patient()
  const form = await readForm(request, { ...options, store }, parts)
  return form.use(({ texts, files }) => {
    const spec = checkFleetSpec(parseSpec(texts.get('spec')?.toString('utf8') ?? ''))
    const sent = { template: texts.get('template'), sites: texts.get('sites') }
    return assemble(store, spec, sent, new Submission(store, spec.build ?? {}, files))
  })
}

function checkFleetSpec(body: unknown): FleetSpec {
  return checkDocument(FleetSpec, 'fleet spec', body)
}

type SentParts = { readonly template?: Buffer | undefined; readonly sites?: Buffer | undefined }

async function assemble(
  store: ObjectStore,
  spec: FleetSpec,
  sent: SentParts,
  submission: Submission,
): Promise<FleetRequest> {
  const faults: Diagnostic[] = [
    ...onlyOne('/template', 'a template: `template`, `userDataTemplate` or the part "template"', [
      spec.template,
      spec.userDataTemplate,
      sent.template,
    ]),
    ...onlyOne('/sites', 'a table of sites: `sites`, `sitesTable` or the part "sites"', [
      spec.sites,
      spec.sitesTable,
      sent.sites,
    ]),
  ]
  const template =
    spec.template === undefined
      ? sent.template
      : await readText(store, spec.template.upload, templateLimitBytes, '/template/upload', faults)
  const table =
    spec.sitesTable === undefined
      ? sent.sites
      : await readText(store, spec.sitesTable.upload, tableLimitBytes, '/sitesTable/upload', faults)
  if (faults.length > 0) {
    throw new ProblemError('invalid-body', 'The fleet spec has faults.', { errors: faults })
  }
  return {
    spec,
    submission,
    template: spec.userDataTemplate ?? template?.toString('utf8') ?? '',
    table:
      spec.sites === undefined
        ? readSitesTable(table ?? Buffer.alloc(0))
        : checkSites(spec.sites.map((site) => ({ site }))),
  }
}

function onlyOne(pointer: string, what: string, given: readonly unknown[]): Diagnostic[] {
  const count = given.filter((one) => one !== undefined).length
  if (count === 1) return []
  const code = count === 0 ? 'fleet.missing' : 'fleet.twice'
  const message =
    count === 0 ? `A fleet needs ${what}.` : `A fleet has one of each; there is more than one of ${what}.`
  return [{ severity: 'error', code, message, source: 'spec', pointer }]
}

async function readText(
  store: ObjectStore,
  upload: string,
  limit: number,
  pointer: string,
  faults: Diagnostic[],
): Promise<Buffer | undefined> {
  const found = await findUpload(store, upload)
  const fault = (code: string, message: string) => {
    faults.push({ severity: 'error', code, message, source: 'spec', pointer })
  }
  if (found === undefined || (await store.stat(found.objectKey)) === undefined) {
    fault('input.upload-not-found', `There is no upload ${upload}. Send it with POST /v1/uploads first.`)
    return undefined
  }
  if (found.upload.size > limit) {
    fault(
      'input.too-large',
      `The file has ${found.upload.size} bytes; ${limit} at the most are possible here.`,
    )
    return undefined
  }
  return buffer(await store.get(found.objectKey))
}
