import { runUntilSignal } from '@edgesmith/service/lifecycle'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { FleetBuilder } from './fleet-builder.ts'

/** What of a builder works on fleets, as a process of its own that a test can kill. */
await runUntilSignal(async () => {
  await using stack = new AsyncDisposableStack()
  const store = await openDirectoryStore(process.env['OBJECT_DIRECTORY'] ?? '')
  const builder = stack.use(await FleetBuilder.open({ store, redisUrl: process.env['REDIS_URL'] ?? '' }))
  stack.use(builder.start({ lockSeconds: 2 }))
  const opened = stack.move()
  return { url: '', [Symbol.asyncDispose]: () => opened.disposeAsync() }
})
