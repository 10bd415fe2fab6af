import { openDirectoryStore } from '../src/directory-store.ts'
import { KiB, stalledStream } from './byte-streams.ts'

// A process that begins to store an object, says so, and never ends.
const [, , root] = process.argv
if (root === undefined) throw new Error('usage: stalled-writer.ts <directory>')
const store = await openDirectoryStore(root)
const { stream, stalled } = stalledStream(512 * KiB)
const putting = store.put('a', stream)
await stalled
process.stdout.write('writing\n')
setInterval(() => undefined, 1000)
await putting
