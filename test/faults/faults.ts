import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { FailureCode } from '@edgesmith/contract/build'
import type { Ground, Service } from './ground.ts'
import type { Random } from './random.ts'

/** What goes wrong, and what may come of it. */
export type Fault = {
  readonly name: string
  /** What the build is told to do, where the fault is the build's own. */
  readonly behaviour?: 'chatter' | 'fill' | 'hang' | 'memory'
  /** Ends that the builds may have besides success; with `mustFail`, the one that it is about has to have one. */
  readonly failures?: readonly FailureCode[]
  readonly mustFail?: boolean
  /** The builder waits while the build is submitted, so that the fault comes before all it does. */
  readonly holdsBuilder?: boolean
  /** Parts of an upload may be left, which MinIO removes itself after a day: nobody was there to do it. */
  readonly leavesParts?: boolean
  /** Downloads that are under way may break off; they go on afterwards. */
  readonly breaksDownloads?: boolean
  /** Lets it happen; answers what ends it. */
  readonly inject?: (ground: Ground, chosen: Chosen) => Promise<(() => Promise<void>) | undefined>
  /** Damages the ISO of a build that has succeeded: it must not be had any more. */
  readonly damages?: (ground: Ground, buildId: string) => Promise<void>
}

/** What the fault is about. */
export type Chosen = { readonly buildId: string; readonly userData: Buffer; readonly random: Random }

/** A service ends, in order or not, and is started again. */
function ends(service: Service, how: 'killed' | 'told to stop'): Fault {
  const name = service === 'builder' || service === 'gateway' ? service : `${service} service`
  return {
    name: `${name} is ${how}`,
    ...(how === 'killed' && service !== 'validation' ? { leavesParts: true } : {}),
    ...(service === 'artifact' ? { breaksDownloads: true } : {}),
    inject: async (ground) => {
      if (how === 'killed') await ground.kill(service)
      else await ground.stop(service)
      return () => ground.start(service)
    },
  }
}

/** What is configured bears more losses of worker, engine and Docker than a fault makes: no build fails of one. */
export const faults: readonly Fault[] = [
  { name: 'none' },
  ends('builder', 'killed'),
  ends('builder', 'told to stop'),
  ends('gateway', 'killed'),
  ends('gateway', 'told to stop'),
  ends('artifact', 'killed'),
  ends('artifact', 'told to stop'),
  ends('validation', 'killed'),
  {
    name: 'BuildKit daemon is killed',
    inject: async (ground) => {
      await (await ground.daemon())?.kill({ signal: 'SIGKILL' })
      return undefined
    },
  },
  {
    name: 'BuildKit daemon freezes',
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
    inject: async (ground) => {
      const daemon = await ground.daemon()
      const networks = Object.entries((await daemon?.inspect())?.NetworkSettings.Networks ?? {})
      for (const [name] of networks) {
        await ground.docker.docker.getNetwork(name).disconnect({ Container: daemon?.id, Force: true })
      }
      return async () => {
        for (const [name, { Aliases }] of networks) {
          const aliases = Array.isArray(Aliases) ? Aliases.map(String) : []
          const endpoint = { Container: daemon?.id, EndpointConfig: { Aliases: aliases } }
          // It may have been replaced meanwhile.
          await ground.docker.docker
            .getNetwork(name)
            .connect(endpoint)
            .catch(() => undefined)
        }
      }
    },
  },
  {
    name: 'client of the build is killed',
    inject: async (ground, { buildId }) => {
      await ground
        .client(buildId)
        .then((client) => client?.kill({ signal: 'SIGKILL' }).catch(() => undefined))
      return undefined
    },
  },
  {
    name: 'client of the build is told to stop',
    inject: async (ground, { buildId }) => {
      await ground
        .client(buildId)
        .then((client) => client?.kill({ signal: 'SIGTERM' }).catch(() => undefined))
      return undefined
    },
  },
  {
    name: 'Docker is killed',
    inject: async ({ docker }) => {
      await docker.kill()
      return () => docker.start()
    },
  },
  {
    name: 'Docker is told to stop',
    inject: async ({ docker }) => {
      await docker.stop()
      return () => docker.start()
    },
  },
  {
    name: 'Docker freezes',
    inject: ({ docker }) => {
      docker.freeze()
      return Promise.resolve(() => {
        docker.thaw()
        return Promise.resolve()
      })
    },
  },
  {
    name: 'Redis is killed',
    inject: async ({ redis }) => {
      await redis.kill()
      return () => redis.start()
    },
  },
  {
    name: 'Redis freezes',
    inject: ({ redis }) => {
      redis.pause()
      return Promise.resolve(() => {
        redis.resume()
        return Promise.resolve()
      })
    },
  },
  {
    name: 'Redis is wiped',
    inject: async ({ redis }) => {
      await redis.wipe()
      return undefined
    },
  },
  {
    name: 'a job comes twice',
    inject: async (ground, { buildId }) => {
      await ground.repeatJob(buildId)
      return undefined
    },
  },
  {
    name: 'builder freezes',
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
    breaksDownloads: true,
    inject: async (ground) => {
      await ground.killMinio()
      return () => ground.startMinio()
    },
  },
  {
    name: 'MinIO freezes',
    breaksDownloads: true,
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
    name: 'a stored ISO is damaged',
    damages: async (ground, buildId) => flipBit(await ground.directoryOfIso(buildId)),
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
  {
    name: 'disk of Docker is full',
    failures: ['insufficient-resources', 'disk-full'],
    inject: async ({ docker }) => {
      await docker.fillDisk()
      return () => docker.emptyDisk()
    },
  },
  { name: 'a step fills the disk', behaviour: 'fill', failures: ['disk-full'], mustFail: true },
  { name: 'a step is out of memory', behaviour: 'memory', failures: ['out-of-memory'], mustFail: true },
  { name: 'a build prints a GiB', behaviour: 'chatter' },
  { name: 'a build hangs', behaviour: 'hang', failures: ['timed-out'], mustFail: true },
  {
    name: 'clock of the builder jumps',
    inject: async (ground, { random }) => {
      await ground.setClock(random.next() < 0.5 ? -7200 : 7200)
      return () => ground.setClock(0)
    },
  },
]

/** Changes one bit of what MinIO keeps of an object, behind the middle of its file. */
async function flipBit(directory: string): Promise<void> {
  // The bytes of a small object are in its description.
  const files = await readdir(directory, { recursive: true })
  const name = files.find((file) => file.endsWith('part.1')) ?? 'xl.meta'
  await using file = await open(join(directory, name), 'r+')
  const at = Math.floor((await file.stat()).size * 0.6)
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  byte.writeUInt8(byte.readUInt8() ^ 1)
  await file.write(byte, 0, 1, at)
}
