import type { FleetDownload, FleetDownloads } from '@edgesmith/contract/fleet'
import { ProblemError } from '@edgesmith/contract/problem'
import { checksumLine } from '@edgesmith/artifacts/artifacts'
import { isoOf } from '@edgesmith/fleets/iso-of'
import type { ProjectContext } from './context.ts'

/** Seconds after which a client should ask for checksums again. */
const retryAfterSeconds = 10

/**
 * The ISOs of a fleet that are ready, each with a signed URL.
 * @throws ProblemError `fleet-not-found`, `upstream-unavailable`
 */
export async function listDownloads(
  { fleets, downloadUrls, principal }: ProjectContext,
  fleetId: string,
  ttlSeconds: number,
): Promise<FleetDownloads> {
  const { sites } = await fleets.get(fleetId)
  const checksums = await fleets.checksums(fleetId)
  const ready: Omit<FleetDownload, 'url' | 'expiresAt'>[] = []
  for await (const build of fleets.builds(fleetId, { state: 'succeeded' })) {
    const iso = isoOf(build)
    if (iso === undefined) continue
    const sha256 = iso.sha256 ?? checksums[build.id]
    ready.push({
      site: build.fleet?.site ?? '',
      buildId: build.id,
      artifactId: iso.id,
      name: iso.name,
      size: iso.size,
      ...(sha256 === undefined ? {} : { sha256 }),
    })
  }
  const artifacts = ready.map(({ artifactId: id, name }) => ({ id, name }))
  const { urls, expiresAt } = await downloadUrls.sign(principal, { ttlSeconds, artifacts })
  return {
    items: ready.map((item, index) => ({ ...item, url: urls[index] ?? '', expiresAt })),
    missing: sites - ready.length,
    checksumsMissing: ready.filter(({ sha256 }) => sha256 === undefined).length,
  }
}

/**
 * What `sha256sum --check` takes. Checksums that are missing are computed in the background.
 * @throws ProblemError `checksums-pending`, `state-conflict` while there are ISOs to come
 */
export async function toSha256sum(
  { fleets, checksumQueue }: ProjectContext,
  fleetId: string,
  { items, checksumsMissing }: FleetDownloads,
): Promise<string> {
  if (checksumsMissing > 0) {
    await checksumQueue.enqueue(fleetId)
    throw new ProblemError(
      'checksums-pending',
      `The checksums of ${checksumsMissing} of ${items.length} ISOs are still being computed; each ISO is read in full for it. Ask again later.`,
      { headers: { 'retry-after': String(retryAfterSeconds) } },
    )
  }
  const { builds } = await fleets.get(fleetId)
  if (builds.queued + builds.running > 0) {
    throw new ProblemError(
      'state-conflict',
      `${builds.queued + builds.running} builds of the fleet have not ended yet. Ask again when it has.`,
    )
  }
  return items.map(({ sha256 = '', name }) => checksumLine(sha256, name)).join('')
}

const columns = ['site', 'buildId', 'artifactId', 'name', 'size', 'sha256', 'url', 'expiresAt'] as const

/** The downloads as CSV (RFC 4180). */
export function toCsv({ items }: FleetDownloads): string {
  const lines = [columns, ...items.map((item) => columns.map((column) => quoted(String(item[column] ?? ''))))]
  return lines.map((fields) => `${fields.join(',')}\r\n`).join('')
}

function quoted(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field
}

/** The format that a client accepts best. */
export function acceptedFormat(accept: string | undefined): 'json' | 'csv' | 'sha256sum' {
  for (const range of (accept ?? '').split(',').map((one) => one.split(';')[0]?.trim().toLowerCase())) {
    if (range === 'text/csv') return 'csv'
    if (range === 'text/plain') return 'sha256sum'
    if (range === 'application/json' || range === '*/*') return 'json'
  }
  return 'json'
}
