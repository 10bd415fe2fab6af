import type { Redis } from 'ioredis'
import { isRedisUnavailable } from './redis-connection.ts'

/** What of Redis's configuration decides whether what it has answered is kept. */
const settings = {
  appendonly: {
    wanted: 'yes',
    otherwise: 'What it holds since its last snapshot is gone when it or its machine fails.',
  },
  appendfsync: {
    wanted: 'always',
    otherwise: 'What it has answered is on the disk only some time later.',
  },
  'maxmemory-policy': {
    wanted: 'noeviction',
    otherwise: 'It forgets builds when its memory is full.',
  },
} as const

/** What keeps a Redis with such a configuration from holding all that it has answered, in sentences. */
export function durabilityFaults(configuration: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, { wanted, otherwise }]) => {
    const value = configuration[name]
    if (value === wanted) return []
    // `maxmemory-policy` means nothing where there is no limit.
    if (name === 'maxmemory-policy' && configuration['maxmemory'] === '0') return []
    return [
      value === undefined
        ? `Redis does not tell its \`${name}\`, which has to be \`${wanted}\`. ${otherwise}`
        : `Redis has \`${name} ${value}\`; \`${wanted}\` is needed. ${otherwise}`,
    ]
  })
}

/**
 * Reads the configuration that `durabilityFaults` judges. A Redis that does not allow `CONFIG` tells whether it
 * has an append-only file, and what it does when memory is full, in `INFO`; how it syncs it does not tell.
 */
export async function readDurability(redis: Redis): Promise<Record<string, string>> {
  try {
    const names = [...Object.keys(settings), 'maxmemory']
    const answers = await Promise.all(names.map((name) => redis.config('GET', name)))
    return Object.fromEntries(answers.map((answer) => answer as [name: string, value: string]))
  } catch (error) {
    if (isRedisUnavailable(error)) throw error
    const info = Object.fromEntries(
      (await redis.info()).split('\r\n').map((line): [string, string] => {
        const [name = '', ...value] = line.split(':')
        return [name, value.join(':')]
      }),
    )
    const hasFile = info['aof_enabled']
    const policy = info['maxmemory_policy']
    return {
      ...(hasFile === undefined ? {} : { appendonly: hasFile === '1' ? 'yes' : 'no' }),
      ...(policy === undefined ? {} : { 'maxmemory-policy': policy }),
      ...(info['maxmemory'] === undefined ? {} : { maxmemory: info['maxmemory'] }),
    }
  }
}

/** Warns of a Redis that can lose what it has answered. For a service that starts; waits for Redis. */
export async function warnOfVolatileRedis(
  redis: Redis,
  logger: { warn(message: string): void },
): Promise<void> {
  for (const fault of durabilityFaults(await readDurability(redis))) {
    logger.warn(`${fault} Builds that were accepted or have ended can be lost with it.`)
  }
}
