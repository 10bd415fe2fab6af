import { createHash } from 'node:crypto'
import type { BuildSpec } from '@edgesmith/contract/build-spec'
import { hasErrors, type Diagnostic } from '@edgesmith/contract/diagnostic'
import type { SiteInputs } from '@edgesmith/contract/fleet'
import { projectOf } from '@edgesmith/contract/project'
import type { StoredInput, ValidationResult } from '@edgesmith/contract/validation'
import { siteFault } from '@edgesmith/fleets/finding'
import { isoNameLimit, isoNameOf, type SiteRecord } from '@edgesmith/fleets/fleet-record'
import { Renderer } from '@edgesmith/fleets/render'
import { valuesOf, type SiteRow } from '@edgesmith/fleets/sites-table'
import { checkBuildSecrets } from '@edgesmith/secrets/build-secrets'
import { sealArguments } from '@edgesmith/secrets/sealed-arguments'
import type { ProjectContext } from './context.ts'
import type { FleetRequest } from './fleet-intake.ts'
import { Submission } from './submission.ts'
import { vaultOf } from './vault.ts'

/** Diagnostics that are answered at most; the rows behind are not looked at any more. */
export const diagnosticLimit = 1000

/** Rows that are rendered and judged in one go, and how many such goes are under way at a time. */
const batchRows = 50
const batchesUnderWay = 2

/** A site whose user-data was rendered and judged. */
export type JudgedSite = Pick<SiteRecord, 'own' | 'userData' | 'diagnostics'> & { readonly row: SiteRow }

export type FleetDiagnosis = {
  readonly diagnostics: readonly Diagnostic[]
  /** What the builds have in common. */
  readonly base: ValidationResult
  /** Without errors: every site. */
  readonly sites: readonly JudgedSite[]
  /** Rows that were not looked at any more. */
  readonly unseen: number
}

/** Files of a site's own, as a build with them was judged. */
type OwnFiles = { readonly result: ValidationResult; readonly inputs: readonly StoredInput[] }

/**
 * Diagnoses a fleet: its base once, each set of files that sites have of their own once, and the
 * user-data of every site.
 * @throws ProblemError `upstream-unavailable`
 */
export async function diagnoseFleet(context: ProjectContext, request: FleetRequest): Promise<FleetDiagnosis> {
  const { submission, template, table } = request
  const { inputs, diagnostics: absent } = await submission.resolveInputs()
  const secretFaults = await checkBuildSecrets(vaultOf(context), submission.spec.secrets)
  const base = await context.validation.validate({
    project: projectOf(context.principal),
    spec: submission.spec,
    inputs,
  })
  const { renderer, diagnostics: templateFaults } = Renderer.of(template)
  const found: Diagnostic[] = [
    ...[...absent, ...secretFaults, ...base.diagnostics].map(inFleetSpec),
    ...templateFaults,
    ...table.diagnostics,
  ]
  if (renderer === undefined) return { diagnostics: found, base, sites: [], unseen: table.rows.length }

  const ownFiles = new Map<string, Promise<OwnFiles>>()
  const sites: JudgedSite[] = []
  const templateFaultsSeen = new Set<string>()
  let unseen = table.rows.length
  const underWay: Promise<Batch>[] = []
  const settle = async () => {
    const batch = await underWay.shift()
    if (batch === undefined) return
    for (const diagnostic of batch.diagnostics) {
      const key = diagnostic.source === 'template' ? JSON.stringify(diagnostic) : undefined
      if (key !== undefined && templateFaultsSeen.has(key)) continue
      if (key !== undefined) templateFaultsSeen.add(key)
      found.push(diagnostic)
    }
    sites.push(...batch.sites)
    unseen -= batch.rows
  }
  for (let start = 0; start < table.rows.length && errorsIn(found) < diagnosticLimit; start += batchRows) {
    const rows = table.rows.slice(start, start + batchRows)
    underWay.push(judgeRows(context, { request, renderer, inputs, base, ownFiles, rows }))
    if (underWay.length >= batchesUnderWay) await settle()
    // Rendering is work for this process alone; others get their turn in between.
    await new Promise(setImmediate)
  }
  while (underWay.length > 0) await settle()
  return { diagnostics: found, base, sites, unseen }
}

function errorsIn(diagnostics: readonly Diagnostic[]): number {
  return diagnostics.filter(({ severity }) => severity === 'error').length
}

/** What a build spec is told of, as told of the spec of a fleet. */
function inFleetSpec(diagnostic: Diagnostic): Diagnostic {
  const { source, pointer } = diagnostic
  const isOfSpec = source === 'spec' && pointer !== undefined
  return isOfSpec ? { ...diagnostic, pointer: `/build${pointer}` } : diagnostic
}

type RowsToJudge = {
  readonly request: FleetRequest
  readonly renderer: Renderer
  readonly inputs: readonly StoredInput[]
  readonly base: ValidationResult
  readonly ownFiles: Map<string, Promise<OwnFiles>>
  readonly rows: readonly SiteRow[]
}

type Batch = { readonly diagnostics: Diagnostic[]; readonly sites: JudgedSite[]; readonly rows: number }

async function judgeRows(context: ProjectContext, toJudge: RowsToJudge): Promise<Batch> {
  const { request, renderer, rows, base, inputs } = toJudge
  const diagnostics: Diagnostic[] = []
  const rendered: { row: SiteRow; pointer: string; text: string; own: OwnFiles | undefined }[] = []
  for (const row of rows) {
    const pointer = `/sites/${row.index}`
    const own = await judgeOwnFiles(context, toJudge, row)
    for (const diagnostic of own?.result.diagnostics ?? []) diagnostics.push(inRow(diagnostic, row, pointer))
    const isoName = isoNameOf(base.arguments, request.submission.spec.arguments, row.site.name)
    if (isoName.length > isoNameLimit) {
      const line = row.line === undefined ? {} : { line: row.line }
      const message = `The ISO of the site would be ${isoName}.iso; ${isoNameLimit} characters before ".iso" are possible. Shorten ISO_NAME or the name of the site.`
      diagnostics.push(siteFault('iso-name', message, { pointer: `${pointer}/name`, ...line }))
    }
    const { text, faults } = renderer.render(valuesOf(row.site))
    if (text !== undefined) {
      rendered.push({ row, pointer, text, own })
      continue
    }
    const place = { ...(row.line === undefined ? {} : { line: row.line }) }
    for (const fault of faults) {
      if (fault.kind === 'template') diagnostics.push(fault.diagnostic)
      else if (fault.kind === 'missing-value') {
        const message = `The site ${row.site.name} has no value "${fault.name}", which line ${fault.line} of the template needs.`
        diagnostics.push(
          siteFault('missing-value', message, { pointer: `${pointer}/values/${fault.name}`, ...place }),
        )
      } else {
        const at = fault.name === undefined ? pointer : `${pointer}/values/${fault.name}`
        const message = `The site ${row.site.name}: ${fault.message}`
        diagnostics.push(siteFault('value', message, { pointer: at, ...place }))
      }
    }
  }

  const verdicts = new Map<string, Diagnostic[]>()
  for (const ownOnly of Map.groupBy(rendered, ({ own }) => own).values()) {
    const own = ownOnly[0]?.own
    const surroundings = surroundingsOf(own?.inputs ?? inputs, own?.result ?? base)
    const userData = ownOnly.map(({ text }) => text)
    const judged = await context.validation.validateUserData({ surroundings, userData })
    for (const [index, { pointer }] of ownOnly.entries())
      verdicts.set(pointer, judged.diagnostics[index] ?? [])
  }
  const sites = rendered.map(({ row, pointer, text, own }): JudgedSite => {
    const told = (verdicts.get(pointer) ?? []).map((diagnostic) => ({
      diagnostic,
      isError: hasErrors([diagnostic]),
    }))
    for (const { diagnostic, isError } of told) {
      if (isError) diagnostics.push(inUserData(diagnostic, row, pointer))
    }
    const bytes = Buffer.from(text)
    return {
      row,
      userData: { sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length },
      diagnostics: told.filter(({ isError }) => !isError).map(({ diagnostic }) => diagnostic),
      ...(own === undefined ? {} : { own: ownOf(context, request, row, own) }),
    }
  })
  return { diagnostics, sites, rows: rows.length }
}

function ownOf(
  context: ProjectContext,
  { submission }: FleetRequest,
  { site }: SiteRow,
  { result }: OwnFiles,
): NonNullable<SiteRecord['own']> {
  return {
    inputs: mergedInputs(submission.spec.inputs, site.inputs ?? {}),
    ...sealArguments(vaultOf(context), result.arguments),
    diagnostics: result.diagnostics.filter(({ severity }) => severity !== 'error'),
  }
}

/** The files of the base, each role replaced that a site has files of its own for. */
function mergedInputs(base: BuildSpec['inputs'], own: SiteInputs): SiteInputs {
  const { userData: _userData, argFile: _argFile, ...inputs } = base ?? {}
  return { ...inputs, ...own }
}

/** Judges a build with the files of a site, once for all sites with the same. */
async function judgeOwnFiles(
  { store, validation, principal }: ProjectContext,
  { request: { submission }, inputs, base, ownFiles }: RowsToJudge,
  { site }: SiteRow,
): Promise<OwnFiles | undefined> {
  if (site.inputs === undefined) return undefined
  const { inputs: own } = site
  const key = JSON.stringify(own)
  let judging = ownFiles.get(key)
  if (judging === undefined) {
    judging = (async () => {
      const resolved = await new Submission(store, { inputs: own }, []).resolveInputs()
      const roles = new Set(resolved.inputs.map(({ role }) => role))
      const merged = [...inputs.filter(({ role }) => !roles.has(role)), ...resolved.inputs]
      const spec = { ...submission.spec, inputs: { ...submission.spec.inputs, ...own } }
      const result = await validation.validate({ project: projectOf(principal), spec, inputs: merged })
      const known = new Set(base.diagnostics.map((diagnostic) => JSON.stringify(diagnostic)))
      const news = result.diagnostics.filter((diagnostic) => !known.has(JSON.stringify(diagnostic)))
      return { inputs: merged, result: { ...result, diagnostics: [...resolved.diagnostics, ...news] } }
    })()
    ownFiles.set(key, judging)
  }
  return judging
}

/** What the rules of user-data need to know of the build (`services/validation/src/validate-submission.ts`). */
function surroundingsOf(inputs: readonly StoredInput[], { arguments: buildArguments }: ValidationResult) {
  return {
    embeddedPublicKey: inputs.some(({ role }) => role === 'edgeCustomConfig' || role === 'publicKey'),
    trustedBoot: buildArguments['IS_UKI'] === 'true',
    twoNode: buildArguments['TWO_NODE'] === 'true',
  }
}

/** What is told of a file of a site's own. */
function inRow(diagnostic: Diagnostic, { site, line }: SiteRow, pointer: string): Diagnostic {
  const { severity, code, message, documentation } = diagnostic
  return {
    severity,
    code,
    message: `The site ${site.name}: ${message}`,
    source: 'sites',
    pointer: `${pointer}${diagnostic.pointer ?? ''}`,
    ...(line === undefined ? {} : { line }),
    ...(documentation === undefined ? {} : { documentation }),
  }
}

/** What is told of the user-data of a site; its own line and column are told in the message. */
function inUserData(diagnostic: Diagnostic, row: SiteRow, pointer: string): Diagnostic {
  const where = diagnostic.line === undefined ? '' : ` (line ${diagnostic.line} of its user-data)`
  return inRow(
    {
      ...diagnostic,
      message: `${diagnostic.message}${where}`,
      pointer: `/userData${diagnostic.pointer ?? ''}`,
    },
    row,
    pointer,
  )
}
