import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { inflate, zstdDecompress } from 'node:zlib'
import { IsoError } from './fault.ts'
import type { Squashfs } from './squashfs.ts'

const inflateAsync = promisify(inflate)
const zstdAsync = promisify(zstdDecompress)

/** Memory that xz may take: the dictionary of a block of a squashfs has 1 MiB at the most. */
const xzMemory = 64 * 1024 * 1024

/**
 * Decompresses a block of a squashfs, which has at most `limit` bytes then.
 * @throws IsoError `invalid-squashfs` when it has more, is broken, or compressed in a way that cannot be read here
 */
export async function decompressBlock(
  compression: Squashfs['compression'],
  block: Buffer,
  limit: number,
): Promise<Buffer> {
  try {
    switch (compression) {
      case 'gzip':
        return await inflateAsync(block, { maxOutputLength: limit })
      case 'zstd':
        return await zstdAsync(block, { maxOutputLength: limit })
      case 'xz':
        return await decompressXz(block, limit)
      default:
        break
    }
  } catch (error) {
    throw invalid('has a block that cannot be decompressed', error)
  }
  throw invalid(`is compressed with ${compression}, which is not read here`)
}

/** Node.js has no xz. The program gets the block alone, and no more memory than it needs. */
async function decompressXz(block: Buffer, limit: number): Promise<Buffer> {
  const options = ['--decompress', '--stdout', '--format=xz', `--memlimit-decompress=${xzMemory}`]
  const child = spawn('xz', options, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'] },
  })
  const closed = once(child, 'close')
  closed.catch(() => undefined)
  try {
    // What is wrong with the input shows at the output.
    child.stdin.on('error', () => undefined).end(block)
    const parts: Buffer[] = []
    let length = 0
    for await (const part of child.stdout as AsyncIterable<Buffer>) {
      length += part.length
      if (length > limit) throw new RangeError(`It has more than ${limit} bytes.`)
      parts.push(part)
    }
    await closed
    if (child.exitCode !== 0) throw new Error(`xz ended with exit code ${child.exitCode ?? 'none'}.`)
    return Buffer.concat(parts)
  } finally {
    child.kill('SIGKILL')
  }
}

function invalid(what: string, cause?: unknown): IsoError {
  const error = new IsoError('invalid-squashfs', `The squashfs ${what}.`)
  error.cause = cause
  return error
}
