import { StringDecoder } from 'node:string_decoder'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Build } from '@edgesmith/contract/build'
import { BuildEvent } from '@edgesmith/contract/event'
import { readJson, writeJson } from '@edgesmith/store/json-object'
import { NoSuchObject, type ObjectStore } from '@edgesmith/store/object-store'
import { Type, type Static } from 'typebox'
import { Reservation } from './idempotency.ts'

/** One event with its id: what a server-sent event carries. */
export type IdentifiedEvent = { id: string; event: BuildEvent }

/** What the archive of a build is that ended without running: all of it is small. */
const WholeArchive = Type.Object({
  build: Build,
  events: Type.Array(Type.Object({ id: Type.String(), event: BuildEvent })),
  reservation: Type.Optional(Reservation),
})

/**
 * Where the archive of a build is in the object store: `whole`, or the others. `accepted` is there before it: see
 * `acceptBuild`. It comes first, so that a removal that breaks off leaves no build that looks unfinished.
 */
export const archiveKey = {
  accepted: (id: string) => `builds/${id}/accepted.json`,
  record: (id: string) => `builds/${id}/build.json`,
  log: (id: string) => `builds/${id}/log.txt`,
  events: (id: string) => `builds/${id}/events.ndjson`,
  whole: (id: string) => `builds/${id}/archive.json`,
} as const

/** One archived event as a line. */
export function toArchiveLine(event: IdentifiedEvent): string {
  return `${JSON.stringify(event)}\n`
}

/** Writes the archive of a build, in place of any there before. */
export async function putArchive(
  store: ObjectStore,
  build: Build,
  { log, events }: Record<'log' | 'events', Readable | Buffer>,
): Promise<void> {
  await Promise.all([
    store.put(archiveKey.log(build.id), log, { contentType: 'text/plain; charset=utf-8' }),
    store.put(archiveKey.events(build.id), events, { contentType: 'application/x-ndjson' }),
    store.put(archiveKey.record(build.id), Buffer.from(JSON.stringify(build)), {
      contentType: 'application/json',
    }),
  ])
}

/** Writes the archive of a build that never ran, as one object; its log is that of its events. */
export async function putWholeArchive(
  store: ObjectStore,
  build: Build,
  events: readonly IdentifiedEvent[],
  reservation?: Reservation,
): Promise<void> {
  const request = reservation === undefined ? {} : { reservation }
  await writeJson(store, archiveKey.whole(build.id), { build, events, ...request })
}

/** The archive of a build that never ran, if there is one. */
export function readWholeArchive(
  store: ObjectStore,
  id: string,
): Promise<Static<typeof WholeArchive> | undefined> {
  return readJson(store, archiveKey.whole(id), WholeArchive)
}

/** The archived record of a build, if there is one. */
export async function readArchivedBuild(store: ObjectStore, id: string): Promise<Build | undefined> {
  const record = await readJson(store, archiveKey.record(id), Build)
  return record ?? (await readWholeArchive(store, id))?.build
}

/** The `Idempotency-Key` of a build that never ran, if it came with one. */
export async function readArchivedReservation(
  store: ObjectStore,
  id: string,
): Promise<Reservation | undefined> {
  return (await readWholeArchive(store, id))?.reservation
}

/** Bytes at the end of an archive of events in which the last one is: more than an event has. */
const tailBytes = 1024 * 1024

/** Id of the last archived event of a build, if there is an archive. */
export async function readLastEventId(store: ObjectStore, id: string): Promise<string | undefined> {
  const key = archiveKey.events(id)
  const stat = await store.stat(key)
  if (stat === undefined) return (await readWholeArchive(store, id))?.events.at(-1)?.id
  const offset = Math.max(0, stat.size - tailBytes)
  const tail = await text(await store.get(key, { offset, length: stat.size - offset }))
  const line = tail.trimEnd().split('\n').at(-1) ?? ''
  return line === '' ? undefined : (JSON.parse(line) as IdentifiedEvent).id
}

/** Reads the archived events of a build, the oldest first. Throws `NoSuchObject`. */
export async function* readArchivedEvents(store: ObjectStore, id: string): AsyncGenerator<IdentifiedEvent> {
  let stream: Readable
  try {
    stream = await store.get(archiveKey.events(id))
  } catch (error) {
    const whole = error instanceof NoSuchObject ? await readWholeArchive(store, id) : undefined
    if (whole === undefined) throw error
    yield* whole.events
    return
  }
  for await (const line of splitLines(stream)) yield JSON.parse(line) as IdentifiedEvent
}

/** Removes the archive of a build. */
export async function removeArchive(store: ObjectStore, id: string): Promise<void> {
  for (const key of Object.values(archiveKey)) await store.remove(key(id))
}

/** Lines end with a line feed alone: JSON text may hold the other line ends of `node:readline`. */
export async function* splitLines(stream: Readable): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const lines = (rest + decoder.write(chunk)).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') throw new Error('An archive of events ends in the middle of a line.')
}
