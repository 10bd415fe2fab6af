import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { InputRole } from '@edgesmith/contract/build-spec'
import type { StoredInput } from '@edgesmith/contract/validation'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { sniffContentKind } from '@edgesmith/uploads/content-kind'

const execute = promisify(execFile)
const maxBuffer = 256 * 1024 * 1024

/** A store with what a test puts into it. */
export type Bench = AsyncDisposable & {
  readonly store: ObjectStore
  /** Stores a file as an input of that role. */
  readonly put: (role: InputRole, bytes: Buffer, fileName?: string) => Promise<StoredInput>
}

export async function openBench(): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-inputs-'))
  const store = await openDirectoryStore(directory)
  let count = 0
  return {
    store,
    put: async (role, bytes, fileName) => {
      const objectKey = `uploads/data/${++count}`
      await store.put(objectKey, bytes)
      return {
        role,
        pointer: `/inputs/${role}`,
        objectKey,
        contentId: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
        size: bytes.length,
        kind: sniffContentKind(bytes, { isWhole: true }),
        ...(fileName === undefined ? {} : { fileName }),
      }
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

/** Runs a program in a directory that holds the files, and answers what it writes. */
export async function run(
  program: string,
  parameters: readonly string[],
  files: Readonly<Record<string, string | Buffer>> = {},
): Promise<Buffer> {
  const cwd = await mkdtemp(join(tmpdir(), 'edgesmith-inputs-'))
  try {
    for (const [name, bytes] of Object.entries(files)) {
      await mkdir(join(cwd, dirname(name)), { recursive: true })
      await writeFile(join(cwd, name), bytes)
    }
    const { stdout } = await execute(program, parameters, { cwd, encoding: 'buffer', maxBuffer })
    return stdout
  } finally {
    await rm(cwd, { recursive: true })
  }
}

/** A tar of the files, made by GNU tar with these options. */
export function tarOf(
  files: Readonly<Record<string, string | Buffer>>,
  ...options: string[]
): Promise<Buffer> {
  return run('tar', [...options, '-cf', '-', ...Object.keys(files)], files)
}

export type RawEntry = {
  name: string | Buffer
  type?: string
  body?: string | Buffer
  /** What the header says, when it lies. */
  size?: number
  linkName?: string
}

/** A tar of entries that no tool would write, each as it is given. */
export function rawTar(...entries: RawEntry[]): Buffer {
  return Buffer.concat([...entries.map(rawEntry), Buffer.alloc(1024)])
}

export function rawEntry({ name, type = '0', body = '', size, linkName = '' }: RawEntry): Buffer {
  const content = Buffer.from(body)
  const header = Buffer.alloc(512)
  Buffer.from(name).copy(header, 0, 0, 100)
  header.write('0000644\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  header.write(`${(size ?? content.length).toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136)
  header.write('        ', 148)
  header.write(type, 156)
  header.write(linkName, 157)
  header.write('ustar\x0000', 257, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)])
}

/** One record of a pax header. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  let length = Buffer.byteLength(rest)
  while (String(length).length + Buffer.byteLength(rest) !== length) {
    length = String(length).length + Buffer.byteLength(rest)
  }
  return `${length}${rest}`
}

/** Diagnostics as a test compares them. */
export function codes(diagnostics: readonly { severity: string; code: string }[]): string[] {
  return diagnostics.map(({ severity, code }) => `${severity} ${code}`)
}
