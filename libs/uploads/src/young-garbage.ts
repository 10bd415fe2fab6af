import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type Collect = (options: { type: 'minor' }) => void

/**
 * By how many percent the heap may grow over what a collection of all of it left, before the next one.
 * V8 goes down to 30 in a process that was idle, and stays there while the heap proper stays small. The
 * bytes of buffers count as growth, so that those of an upload would have the whole heap collected a
 * hundred times in a GiB instead of twice, at a third of the throughput.
 */
const heapGrowthPercent = 100

setFlagsFromString(`--heap-growing-percent=${heapGrowthPercent}`)
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as Collect

/** After how many bytes of buffers, of all streams together, the young generation is collected. */
const everyBytes = 8 * 1024 * 1024

let dropped = 0

/**
 * Counts bytes of buffers that have been dropped or soon are, and collects short-lived buffers while large
 * streams, or many small ones, pass. V8 begins a collection of the young generation by the size of its objects,
 * and a buffer's is tiny: its bytes are outside the heap. So hundreds of megabytes of them would be dropped and
 * not freed, until a collection of the whole heap, which costs a hundred times more than this.
 */
export function countYoungGarbage(bytes: number): void {
  dropped += bytes
  if (dropped < everyBytes) return
  dropped = 0
  collect({ type: 'minor' })
}
