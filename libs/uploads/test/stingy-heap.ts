import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { GCProfiler } from 'node:v8'
import { InspectedStream } from '../src/inspected-stream.ts'

// Run as a program: prints how often the whole heap was collected while 512 MiB passed.
const MiB = 1024 ** 2
// Objects as a service has them. V8 lets the heap grow by a share of what is in it.
const ballast = Array.from({ length: 500_000 }, (_, index) => ({ index, of: [index] }))

/** Fresh buffers of 64 KiB, as a socket gives; the heads say that it is a file of no known kind. */
async function* pieces(): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < 512 * MiB; sent += 64 * 1024) {
    yield Buffer.alloc(64 * 1024)
    if (sent % MiB === 0) await turn()
  }
}

// The parts that are on their way to the store.
const held: Buffer[] = []
let sinceHeld = 0
const sink = new Writable({
  write(chunk: Buffer, _encoding, done) {
    sinceHeld += chunk.length
    if (sinceHeld >= 8 * MiB) {
      sinceHeld = 0
      if (held.push(Buffer.allocUnsafeSlow(8 * MiB)) > 3) held.shift()
    }
    done()
  },
})
const profiler = new GCProfiler()
profiler.start()
await pipeline(
  Readable.from(pieces(), { objectMode: false }),
  new InspectedStream({ limitBytes: 1024 * MiB }),
  sink,
)
const collections = profiler.stop().statistics
const majors = collections.filter(({ gcType }) => gcType === 'MarkSweepCompact').length
process.stdout.write(JSON.stringify({ majors, ballast: ballast.length }))
