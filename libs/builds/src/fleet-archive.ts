import { Readable } from 'node:stream'
import type { Build } from '@edgesmith/contract/build'
import { NoSuchObject, type ObjectStore } from '@edgesmith/store/object-store'
import { readArchivedEvents, splitLines, type IdentifiedEvent } from './build-archive.ts'

/** A build that its fleet ended, with its events. */
export type FleetArchiveEntry = { readonly build: Build; readonly events: readonly IdentifiedEvent[] }

/** Where the archive of all builds is that a fleet ended itself. */
export function fleetArchiveKey(fleetId: string): string {
  return `fleets/${fleetId}/builds.ndjson`
}

/**
 * Adds builds to the archive of a fleet, in place of what it has of them: a line for each build, its id
 * first. `ids` are those of the entries.
 */
export async function updateFleetArchive(
  store: ObjectStore,
  fleetId: string,
  entries: AsyncIterable<FleetArchiveEntry>,
  ids: ReadonlySet<string>,
): Promise<void> {
  const hasArchive = (await store.stat(fleetArchiveKey(fleetId))) !== undefined
  async function* lines(): AsyncGenerator<string> {
    if (hasArchive) {
      for await (const line of splitLines(await store.get(fleetArchiveKey(fleetId)))) {
        if (!ids.has((JSON.parse(line) as { id: string }).id)) yield `${line}\n`
      }
    }
    for await (const { build, events } of entries)
      yield `${JSON.stringify({ id: build.id, events, build })}\n`
  }
  await store.put(fleetArchiveKey(fleetId), Readable.from(lines(), { objectMode: false }), {
    contentType: 'application/x-ndjson',
  })
}

/** Reads the archived events of a build from its own archive or, where it has none, from that of its fleet. */
export async function* readEventsOfArchive(
  store: ObjectStore,
  { id, fleet }: Pick<Build, 'id' | 'fleet'>,
): AsyncGenerator<IdentifiedEvent> {
  try {
    yield* readArchivedEvents(store, id)
  } catch (error) {
    if (!(error instanceof NoSuchObject) || fleet === undefined) throw error
    yield* (await findEntry(store, fleet.id, id)).events
  }
}

/** The record of a build in the archive of its fleet, if it is there. */
export async function readFleetBuild(
  store: ObjectStore,
  fleetId: string,
  buildId: string,
): Promise<Build | undefined> {
  try {
    return (await findEntry(store, fleetId, buildId)).build
  } catch (error) {
    if (error instanceof NoSuchObject) return undefined
    throw error
  }
}

/** Reads the archive of all builds that a fleet ended itself; nothing where there is none. */
export async function* readFleetArchive(
  store: ObjectStore,
  fleetId: string,
): AsyncGenerator<FleetArchiveEntry> {
  if ((await store.stat(fleetArchiveKey(fleetId))) === undefined) return
  for await (const line of splitLines(await store.get(fleetArchiveKey(fleetId)))) {
    yield JSON.parse(line) as FleetArchiveEntry
  }
}

async function findEntry(store: ObjectStore, fleetId: string, buildId: string): Promise<FleetArchiveEntry> {
  const beginning = `{"id":"${buildId}",`
  for await (const line of splitLines(await store.get(fleetArchiveKey(fleetId)))) {
    if (line.startsWith(beginning)) return JSON.parse(line) as FleetArchiveEntry
  }
  throw new NoSuchObject(fleetArchiveKey(fleetId))
}
