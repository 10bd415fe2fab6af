import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { FailureCode } from '@edgesmith/contract/build'
import type { Ground } from './ground.ts'
import type { Random } from './random.ts'

/** What goes wrong, and what may come of it. */
export type Fault = {
  readonly name: string
  /** What the build is told to do, where the fault is the build's own. */
  readonly behaviour?: 'hang' | 'memory' | 'chatter'
  /** Ends that the build may have besides success; with `mustFail`, one of them it has to have. */
  readonly failures?: readonly FailureCode[]
  readonly mustFail?: boolean
  /** The builder waits while the build is submitted, so that the fault comes before all it does. */
  readonly holdsBuilder?: boolean
  /** Parts of an upload may be left, which MinIO removes itself after a day: nobody was there to do it. */
  readonly leavesParts?: boolean
  /** Lets it happen; answers what ends it. */
  readonly inject?: (ground: Ground, chosen: Chosen) => Promise<(() => Promise<void>) | undefined>
}

/** What the fault is about. */
export type Chosen = { readonly buildId: string; readonly userData: Buffer; readonly random: Random }

/** What a build may end with that lost its engine again and again. */
const engine: readonly FailureCode[] = ['engine-unavailable', 'worker-lost']

export const faults: readonly Fault[] = [
  { name: 'none' },
  {
    name: 'builder is killed',
    failures: engine,
    leavesParts: true,
    inject: async (ground) => {
      await ground.kill('builder')
      return () => ground.start('builder')
    },
  },
  {
    name: 'builder is told to stop',
    failures: engine,
    inject: async (ground) => {
      await ground.stop('builder')
      return () => ground.start('builder')
    },
  },
  {
    name: 'gateway is killed',
    leavesParts: true,
    inject: async (ground) => {
      await ground.kill('gateway')
      return () => ground.start('gateway')
    },
  },
  {
    name: 'gateway is told to stop',
    inject: async (ground) => {
      await ground.stop('gateway')
      return () => ground.start('gateway')
    },
  },
  {
    name: 'BuildKit daemon is killed',
    failures: engine,
    inject: async (ground) => {
      await (await ground.daemon())?.kill({ signal: 'SIGKILL' })
      return undefined
    },
  },
  {
    name: 'BuildKit daemon freezes',
    failures: engine,
    inject: async (ground) => {
      const daemon = await ground.daemon()
      await daemon?.pause()
      return async () => {
        // It may have been replaced meanwhile.
        await daemon?.unpause().catch(() => undefined)
      }
    },
  },
  {
    name: 'network of the BuildKit daemon is cut',
    failures: engine,
    inject: async (ground) => {
      const daemon = await ground.daemon()
      const networks = Object.entries((await daemon?.inspect())?.NetworkSettings.Networks ?? {})
      for (const [name] of networks) {
        await ground.docker.getNetwork(name).disconnect({ Container: daemon?.id, Force: true })
      }
      return async () => {
        for (const [name, { Aliases }] of networks) {
          const aliases = Array.isArray(Aliases) ? Aliases.map(String) : []
          const endpoint = { Container: daemon?.id, EndpointConfig: { Aliases: aliases } }
          // It may have been replaced meanwhile.
          await ground.docker
            .getNetwork(name)
            .connect(endpoint)
            .catch(() => undefined)
        }
      }
    },
  },
  {
    name: 'client of the build is killed',
    failures: [...engine, 'engine-failed'],
    inject: async (ground, { buildId }) => {
      await (await ground.client(buildId))?.kill({ signal: 'SIGKILL' }).catch(() => undefined)
      return undefined
    },
  },
  {
    name: 'Redis is killed',
    failures: engine,
    inject: async ({ redis }) => {
      await redis.kill()
      return () => redis.start()
    },
  },
  {
    name: 'Redis freezes',
    failures: engine,
    inject: ({ redis }) => {
      redis.pause()
      return Promise.resolve(() => {
        redis.resume()
        return Promise.resolve()
      })
    },
  },
  {
    name: 'builder freezes',
    failures: engine,
    inject: (ground) => {
      ground.signal('builder', 'SIGSTOP')
      return Promise.resolve(() => {
        ground.signal('builder', 'SIGCONT')
        return Promise.resolve()
      })
    },
  },
  {
    name: 'MinIO is killed',
    failures: engine,
    inject: async (ground) => {
      await ground.killMinio()
      return () => ground.startMinio()
    },
  },
  {
    name: 'MinIO freezes',
    failures: engine,
    inject: async (ground) => {
      await ground.pauseMinio()
      return () => {
        ground.resumeMinio()
        return Promise.resolve()
      }
    },
  },
  {
    name: 'a stored input is damaged',
    failures: ['input-unavailable'],
    mustFail: true,
    holdsBuilder: true,
    inject: async (ground, { userData }) => {
      await flipBit(await ground.directoryOfUpload(userData))
      return undefined
    },
  },
  {
    name: 'disk of the worker is full',
    failures: ['insufficient-resources', 'disk-full'],
    holdsBuilder: true,
    inject: async (ground) => {
      await ground.fillWorkDirectory()
      return () => ground.emptyWorkDirectory()
    },
  },
  { name: 'a step is out of memory', behaviour: 'memory', failures: ['out-of-memory'], mustFail: true },
  { name: 'a build prints a GiB', behaviour: 'chatter' },
  { name: 'a build hangs', behaviour: 'hang', failures: ['timed-out'], mustFail: true },
  {
    name: 'clock of the builder jumps',
    failures: [...engine, 'timed-out'],
    inject: async (ground, { random }) => {
      await ground.setClock(random.next() < 0.5 ? -7200 : 7200)
      return () => ground.setClock(0)
    },
  },
]

/** Changes one bit of what MinIO keeps of a small object, behind the middle of the file. */
async function flipBit(directory: string): Promise<void> {
  const [name = ''] = (await readdir(directory)).filter((entry) => entry === 'xl.meta')
  await using file = await open(join(directory, name), 'r+')
  const at = Math.floor((await file.stat()).size * 0.6)
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  byte.writeUInt8(byte.readUInt8() ^ 1)
  await file.write(byte, 0, 1, at)
}
