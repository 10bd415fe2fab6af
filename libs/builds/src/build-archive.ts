import { StringDecoder } from 'node:string_decoder'
import type { Readable } from 'node:stream'
import type { Build } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import type { ObjectStore } from '@edgesmith/store/object-store'

/** One event with its id: what a server-sent event carries. */
export type IdentifiedEvent = { id: string; event: BuildEvent }

/** Where the archive of a build is in the object store. */
export const archiveKey = {
  record: (id: string) => `builds/${id}/build.json`,
  log: (id: string) => `builds/${id}/log.txt`,
  events: (id: string) => `builds/${id}/events.ndjson`,
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

/** Reads the archived events of a build, the oldest first. Throws `NoSuchObject`. */
export async function* readArchivedEvents(store: ObjectStore, id: string): AsyncGenerator<IdentifiedEvent> {
  const stream = await store.get(archiveKey.events(id))
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
