import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { readOutput } from '@edgesmith/engine/output-stream'

function frame(stream: 1 | 2, text: string): Buffer {
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(Buffer.byteLength(text), 4)
  return Buffer.concat([header, Buffer.from(text)])
}

async function read(bytes: Buffer, pieceSize: number): Promise<string> {
  const pieces: Buffer[] = []
  for (let start = 0; start < bytes.length; start += pieceSize)
    pieces.push(bytes.subarray(start, start + pieceSize))
  return Buffer.concat(await Array.fromAsync(readOutput(Readable.from(pieces)))).toString()
}

describe('readOutput', () => {
  it('joins standard output and standard error wherever they are cut', async () => {
    const bytes = Buffer.concat([frame(1, 'one\n'), frame(2, ''), frame(2, 'twö\n'), frame(1, 'three')])
    for (const size of [1, 3, 8, 9, 100]) assert.equal(await read(bytes, size), 'one\ntwö\nthree')
  })

  it('tells when the stream breaks off', async () => {
    await assert.rejects(read(frame(1, 'text').subarray(0, 10), 100), /broke off/)
  })
})
