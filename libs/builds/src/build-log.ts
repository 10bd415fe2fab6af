import type { Readable } from 'node:stream'
import { NoSuchObject } from '@edgesmith/store/object-store'
import type { ProjectStores } from '@edgesmith/store/project-stores'
import { archiveKey } from './build-archive.ts'
import type { IdentifiedEvent } from './build-archive.ts'
import type { EventReader } from './build-events.ts'
import type { BuildRepository } from './build-repository.ts'
import { isEnd } from './build-state.ts'

export type LogParts = { repository: BuildRepository; events: EventReader; stores: ProjectStores }

export type ReadLogOptions = {
  /** Go on with the lines to come, until the build has ended. */
  follow: boolean
  signal?: AbortSignal
}

/**
 * Opens the whole log of a build, of all its attempts, as text: from the archive when the build has
 * ended, else from its events.
 * @throws ProblemError `build-not-found`, `upstream-unavailable`
 */
export async function readLog(
  { repository, events, stores }: LogParts,
  id: string,
  options: ReadLogOptions,
): Promise<AsyncIterable<string>> {
  const build = await repository.get(id)
  if (!isEnd(build.state)) return toLines(await events.read(id, options))
  try {
    const archived: Readable = await stores.of(build).get(archiveKey.log(id))
    return archived.setEncoding('utf8') as AsyncIterable<string>
  } catch (error) {
    // A build that never ran has no log beside its events.
    if (!(error instanceof NoSuchObject)) throw error
    return toLines(await events.read(id, options))
  }
}

/** The lines of the log events among events, each with its end. */
export async function* toLines(events: AsyncIterable<IdentifiedEvent>): AsyncGenerator<string> {
  for await (const { event } of events) {
    if (event.type === 'log') yield `${event.line}\n`
  }
}
