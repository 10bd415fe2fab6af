import { repeatableRoles, singleRoles, type RepeatableRole } from '@edgesmith/contract/build-spec'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { Site, siteLimit, type SiteInputs } from '@edgesmith/contract/fleet'
import { CsvError, parse } from 'csv-parse/sync'
import { Value } from 'typebox/value'
import { siteFault } from './finding.ts'

/** A row of the table: its number, from 0, and the line on which it begins in a CSV file. */
export type SiteRow = { readonly site: Site; readonly index: number; readonly line?: number }

export type SitesTable = { readonly rows: readonly SiteRow[]; readonly diagnostics: readonly Diagnostic[] }

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

/** Reads a table of sites: a JSON array of sites, told by its first character, or CSV (RFC 4180). */
export function readSitesTable(bytes: Uint8Array): SitesTable {
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    const message = 'The table is not UTF-8. Save it as "CSV UTF-8".'
    return { rows: [], diagnostics: [siteFault('encoding', message)] }
  }
  return /^\s*\[/.test(text) ? readJson(text) : readCsv(text)
}

function readJson(text: string): SitesTable {
  let list: unknown[]
  try {
    list = JSON.parse(text) as unknown[]
  } catch (error) {
    return {
      rows: [],
      diagnostics: [siteFault('syntax', `The table is not JSON: ${(error as Error).message}`)],
    }
  }
  return checkSites(list.map((site) => ({ site })))
}

/** Judges the rows of a table: each by its schema, all together by their number and names. */
export function checkSites(candidates: readonly { site: unknown; line?: number }[]): SitesTable {
  if (candidates.length === 0) {
    return { rows: [], diagnostics: [siteFault('empty', 'The table has no site.', { pointer: '/sites' })] }
  }
  if (candidates.length > siteLimit) {
    const message = `The table has ${candidates.length} sites; ${siteLimit} at the most are possible. Make several fleets.`
    return { rows: [], diagnostics: [siteFault('too-many', message, { pointer: '/sites' })] }
  }
  const rows: SiteRow[] = []
  const diagnostics: Diagnostic[] = []
  const firstOf = new Map<string, number>()
  for (const [index, candidate] of candidates.entries()) {
    const { site, line } = candidate
    const place = line === undefined ? {} : { line }
    if (!Value.Check(Site, site)) {
      for (const { instancePath, message } of Value.Errors(Site, site)) {
        const at = instancePath === '' ? 'The site' : instancePath.slice(1)
        diagnostics.push(
          siteFault('schema', `${at} ${message}.`, { pointer: `/sites/${index}${instancePath}`, ...place }),
        )
      }
      continue
    }
    const first = firstOf.get(site.name)
    firstOf.set(site.name, first ?? index)
    if (first !== undefined) {
      const message = `There is a site ${site.name} already, /sites/${first}. Names have to differ.`
      diagnostics.push(siteFault('duplicate', message, { pointer: `/sites/${index}/name`, ...place }))
    }
    if (site.values?.['site'] !== undefined && site.values['site'] !== site.name) {
      const message = 'The value "site" is the name of the site by itself. Give yours another name.'
      diagnostics.push(siteFault('reserved', message, { pointer: `/sites/${index}/values/site`, ...place }))
    }
    rows.push({ site, index, ...place })
  }
  return { rows, diagnostics }
}

type Column =
  | { readonly is: 'name' }
  | { readonly is: 'value'; readonly name: string }
  | { readonly is: 'label'; readonly name: string }
  | { readonly is: 'input'; readonly role: string }

function readCsv(text: string): SitesTable {
  let records: { info: { bytes: number }; record: string[] }[]
  try {
    records = parse(text, {
      bom: true,
      info: true,
      skip_empty_lines: true,
      relax_column_count: true,
    }) as never
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    const line = typeof error['lines'] === 'number' ? { line: error['lines'] } : {}
    return { rows: [], diagnostics: [siteFault('syntax', `The table is not CSV: ${error.message}`, line)] }
  }
  const [header, ...body] = records
  if (header === undefined) return { rows: [], diagnostics: [siteFault('empty', 'The table is empty.')] }
  const { columns, diagnostics } = readHeader(header.record)
  if (diagnostics.length > 0) return { rows: [], diagnostics }
  const faults: Diagnostic[] = []
  const lines = new LineCounter(Buffer.from(text))
  let end = header.info.bytes
  const sites = body.map(({ record, info }, index) => {
    const line = lines.lineAt(end)
    end = info.bytes
    if (record.length !== columns.length) {
      const message = `The row has ${record.length} fields, the header ${columns.length}. Quote fields that hold a comma.`
      faults.push(siteFault('fields', message, { pointer: `/sites/${index}`, line }))
    }
    return { site: toSite(columns, record), line }
  })
  if (faults.length > 0) return { rows: [], diagnostics: faults }
  return checkSites(sites)
}

/** Counts lines of a text from its beginning on. A quoted field can have several of them. */
class LineCounter {
  readonly #bytes: Uint8Array
  #line = 1
  #position = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The line of what follows an offset in bytes, behind any line ends; offsets have to rise. */
  lineAt(offset: number): number {
    for (; this.#position < this.#bytes.length; this.#position += 1) {
      const byte = this.#bytes[this.#position]
      if (this.#position >= offset && byte !== 0x0a && byte !== 0x0d) break
      if (byte === 0x0a) this.#line += 1
    }
    return this.#line
  }
}

function readHeader(names: readonly string[]): { columns: Column[]; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = []
  const trimmed = names.map((name) => name.trim())
  const nameColumn = trimmed.includes('site') ? 'site' : 'name'
  const fault = (index: number, message: string) => {
    diagnostics.push(siteFault('header', message, { pointer: `/header/${index}`, line: 1 }))
  }
  if (!trimmed.includes(nameColumn)) {
    diagnostics.push(
      siteFault('header', 'The table needs a column "site": the names of the sites.', { line: 1 }),
    )
  }
  const columns = trimmed.map((name, index): Column => {
    if (trimmed.indexOf(name) < index)
      fault(index, `The column ${JSON.stringify(name)} is there more than once.`)
    if (name === nameColumn) return { is: 'name' }
    if (name.startsWith('label.')) return { is: 'label', name: name.slice('label.'.length) }
    if (name.startsWith('input.')) {
      const role = name.slice('input.'.length)
      if (role in repeatableRoles || siteRoles.includes(role)) return { is: 'input', role }
      fault(index, `${JSON.stringify(role)} is no input that a site can have: ${allRoles.join(', ')}.`)
    } else if (!/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(name)) {
      fault(index, `${JSON.stringify(name)} cannot be the name of a value: use letters, digits, "_" and "-".`)
    }
    return { is: 'value', name }
  })
  return { columns, diagnostics }
}

const siteRoles: readonly string[] = singleRoles.filter((role) => role !== 'userData' && role !== 'argFile')
const allRoles = [...siteRoles, ...Object.keys(repeatableRoles)]

/** An empty cell of a file or a label is none; that of a value is an empty text. */
function toSite(columns: readonly Column[], record: readonly string[]): unknown {
  const values: [string, string][] = []
  const labels: [string, string][] = []
  const inputs: [string, unknown][] = []
  let name = ''
  for (const [index, column] of columns.entries()) {
    const cell = record[index] ?? ''
    if (column.is === 'name') name = cell
    else if (column.is === 'value') values.push([column.name, cell])
    else if (cell.trim() === '') continue
    else if (column.is === 'label') labels.push([column.name, cell])
    else inputs.push(toInput(column.role, cell.trim().split(/\s+/)))
  }
  return {
    name,
    values: Object.fromEntries(values),
    ...(labels.length === 0 ? {} : { labels: Object.fromEntries(labels) }),
    ...(inputs.length === 0 ? {} : { inputs: Object.fromEntries(inputs) as SiteInputs }),
  }
}

function toInput(role: string, uploads: readonly string[]): [string, unknown] {
  const files = uploads.map((upload) => ({ upload }))
  if (role in repeatableRoles) return [repeatableRoles[role as RepeatableRole], files]
  // Several where one is possible are one that no upload has.
  return [role, { upload: uploads.join(' ') }]
}

/** What the template's tags are replaced by for a site. */
export function valuesOf({ name, values = {} }: Site): ReadonlyMap<string, string | number | boolean> {
  return new Map<string, string | number | boolean>([...Object.entries(values), ['site', name]])
}
