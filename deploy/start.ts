import { runCommandLine } from './setup/command-line.ts'
import { ensureEngine } from './setup/engine.ts'

/** `npm start`: standalone on this machine, once Docker and the engine image are there. */
await runCommandLine('start', async () => {
  Object.assign(process.env, await ensureEngine())
  await import('@edgesmith/standalone-service/main')
})
