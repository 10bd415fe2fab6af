import { once } from 'node:events'
import { Readable, type Writable } from 'node:stream'
import type Docker from 'dockerode'
import { viaDocker } from './docker.ts'
import { EngineError } from './engine-error.ts'
import { extract, pack, type Extract, type Header, type Pack } from 'tar-stream'

/** Who owns a file inside a container. */
export type FileOwner = { readonly uid: number; readonly gid: number }

/** One entry to put into a container; its path is relative to the directory it is put in. */
export type ArchiveEntry =
  | { readonly type: 'directory'; readonly path: string; readonly mode: number }
  | { readonly type: 'file'; readonly path: string; readonly mode: number; readonly body: string | Buffer }
  | {
      readonly type: 'stream'
      readonly path: string
      readonly mode: number
      /** Size in bytes; the stream has to give exactly as many. */
      readonly size: number
      readonly open: () => Promise<Readable>
    }
  | { readonly type: 'symlink'; readonly path: string; readonly target: string }

/** One entry that comes out of a container. Its body is read to its end before the next, or not at all. */
export type TakenEntry = {
  readonly path: string
  readonly type: Header['type']
  /** Size in bytes. */
  readonly size: number
  readonly body: Readable
}

/**
 * Puts entries into a directory of a container, which need not run. Streams are opened one after the
 * other and are never held in memory as a whole.
 * @throws the error of Docker, of an entry's stream, or the reason of the signal
 */
export async function putEntries(
  container: Docker.Container,
  directory: string,
  owner: FileOwner,
  entries: Iterable<ArchiveEntry> | AsyncIterable<ArchiveEntry>,
  signal?: AbortSignal,
): Promise<void> {
  const archive = pack()
  // What it fails with is thrown by whoever failed; without a listener it would end the process.
  archive.on('error', () => undefined)
  // An entry that fails destroys the archive with its error, and that the request to Docker.
  const write = writeEntries(archive, owner, entries, signal).catch((error: unknown) => {
    archive.destroy(error instanceof Error ? error : new Error(String(error)))
    throw error
  })
  const refusal: { error?: Error } = {}
  const put = viaDocker(() => container.putArchive(Readable.from(archive), { path: directory })).catch(
    (error: unknown) => {
      if (!archive.destroyed && error instanceof Error) refusal.error = error
      archive.destroy()
      throw error
    },
  )
  await Promise.allSettled([write, put])
  // Writing fails too when Docker refuses the archive: the refusal is what tells why.
  if (refusal.error !== undefined) throw refusal.error
  await write
  await put
}

/** Writes entries as an archive into a stream, and ends it; none of them may be a stream. */
export async function writeArchive(
  stream: Writable,
  owner: FileOwner,
  entries: Iterable<ArchiveEntry>,
): Promise<void> {
  const archive = pack()
  const written = writeEntries(archive, owner, entries)
  const chunks: AsyncIterable<Buffer> = Readable.from(archive)
  for await (const chunk of chunks) {
    if (!stream.write(chunk)) await awaitRoom(stream)
  }
  stream.end()
  await written
}

async function writeEntries(
  archive: Pack,
  owner: FileOwner,
  entries: Iterable<ArchiveEntry> | AsyncIterable<ArchiveEntry>,
  signal?: AbortSignal,
): Promise<void> {
  for await (const entry of entries) {
    signal?.throwIfAborted()
    await writeEntry(archive, owner, entry, signal)
  }
  archive.finalize()
}

async function writeEntry(
  archive: Pack,
  owner: FileOwner,
  entry: ArchiveEntry,
  signal?: AbortSignal,
): Promise<void> {
  const { promise: written, resolve, reject } = Promise.withResolvers<undefined>()
  const done = (error?: Error | null) => {
    if (error === undefined || error === null) resolve(undefined)
    else reject(error)
  }
  const name = entry.path
  switch (entry.type) {
    case 'directory':
      archive.entry({ ...owner, name, type: 'directory', mode: entry.mode }, done)
      break
    case 'symlink':
      archive.entry({ ...owner, name, type: 'symlink', linkname: entry.target, mode: 0o777 }, done)
      break
    case 'file':
      archive.entry({ ...owner, name, mode: entry.mode }, Buffer.from(entry.body), done)
      break
    case 'stream': {
      const source = await entry.open()
      const sink = archive
        .entry({ ...owner, name, mode: entry.mode, size: entry.size }, done)
        .once('error', done)
      await Promise.all([pump(source, sink, signal), written])
    }
  }
  await written
}

type Sink = ReturnType<Pack['entry']>

/** Writes a stream into an entry, as far as the archive is not given up meanwhile. */
async function pump(source: Readable, sink: Sink, signal?: AbortSignal): Promise<void> {
  const chunks: AsyncIterable<Buffer> = source
  for await (const chunk of chunks) {
    signal?.throwIfAborted()
    if (sink.destroyed) return
    if (!sink.write(chunk)) await awaitRoom(sink)
  }
  sink.end(null)
}

/** Waits until a stream takes more, or is destroyed. */
async function awaitRoom(stream: Sink | Extract | Writable): Promise<void> {
  const settled = new AbortController()
  const { signal } = settled
  try {
    await Promise.race([once(stream, 'drain', { signal }), once(stream, 'close', { signal })])
  } finally {
    settled.abort()
  }
}

/**
 * Takes a file or a directory with all it holds out of a container, which need not run.
 * The first entry is what was asked for itself; paths begin with its name.
 * @throws an error of Docker with status 404 when there is no such path
 */
export async function* takeEntries(container: Docker.Container, path: string): AsyncGenerator<TakenEntry> {
  const archive = await viaDocker(() => container.getArchive({ path }))
  if (!(archive instanceof Readable)) throw new TypeError('Docker answered no stream.')
  const entries = extract()
  const feeding = feed(archive, entries)
  try {
    for await (const entry of entries) {
      const { name, type, size } = entry.header
      yield { path: name, type, size, body: Readable.from(bytesOf(entry)) }
      entry.resume()
    }
    await feeding
  } finally {
    archive.destroy()
    entries.destroy()
  }
}

/** Unlike the entry's own iterator, one that came to its end does not end the archive with it. */
async function* bytesOf(entry: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  for await (const chunk of entry) yield chunk as Buffer
}

/** Feeds an archive to its reader, which gets the error when the archive breaks off. */
async function feed(archive: Readable, entries: Extract): Promise<void> {
  try {
    const chunks: AsyncIterable<Buffer> = archive
    for await (const chunk of chunks) {
      if (entries.destroyed) return
      if (!entries.write(chunk)) await awaitRoom(entries)
    }
    entries.end(null)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    entries.destroy(
      new EngineError('client-lost', `Docker broke an archive off: ${reason}`, { cause: error }),
    )
  }
}
