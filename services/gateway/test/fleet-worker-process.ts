import { runUntilSignal } from '@edgesmith/service/lifecycle'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { ProjectStores } from '@edgesmith/store/project-stores'
import { FleetBuilder } from './fleet-builder.ts'

/** What of a builder works on fleets, as a process of its own that a test can kill. */
const withoutConfig = () => ({})

await runUntilSignal(withoutConfig, async () => {
  await using stack = new AsyncDisposableStack()
  const stores = new ProjectStores(await openDirectoryStore(process.env['OBJECT_DIRECTORY'] ?? ''))
  const builder = stack.use(await FleetBuilder.open({ stores, redisUrl: process.env['REDIS_URL'] ?? '' }))
  stack.use(builder.start({ lockSeconds: 2 }))
  const opened = stack.move()
  return { url: '', [Symbol.asyncDispose]: () => opened.disposeAsync() }
})
