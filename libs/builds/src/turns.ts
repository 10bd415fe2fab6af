import type { Redis, Result } from 'ioredis'
import { whileAvailable } from './redis-connection.ts'

type Arguments = (string | number)[]

declare module 'ioredis' {
  interface RedisCommander<Context> {
    joinLine(...args: Arguments): Result<number, Context>
    callNext(...args: Arguments): Result<string[], Context>
    beginTurn(...args: Arguments): Result<number, Context>
    endTurn(...args: Arguments): Result<number, Context>
    findTurn(...args: Arguments): Result<string, Context>
    countInLine(...args: Arguments): Result<number, Context>
    readPace(...args: Arguments): Result<[number, number], Context>
  }
}

const prefix = 'edgesmith:turns'

const key = {
  /** Sorted set of the tenants that have jobs in line, by the time of the scheduler at which the next one's turn is. */
  tenants: `${prefix}:tenants`,
  /** Sorted set of a tenant's jobs in line, by when they came. */
  line: `${prefix}:line:`,
  /** Set of a tenant's jobs that were called and have not ended. */
  active: `${prefix}:active:`,
  /** Sorted set of the jobs that were called and that no worker has begun, by when they were called. */
  called: `${prefix}:called`,
  /** Hash: the tenant of each job that is in line or active. */
  owners: `${prefix}:owners`,
  /** Hash: the weight and the limit of each tenant, `<weight>:<jobs>`. */
  shares: `${prefix}:shares`,
  /** Hash: when the last turn of each tenant ends, by the time of the scheduler. */
  ends: `${prefix}:ends`,
  /** The time of the scheduler: when the turn that was called last began. */
  clock: `${prefix}:clock`,
  /** Counts the jobs that ever came. */
  sequence: `${prefix}:sequence`,
  /** List of when the last turns of a tenant began, the latest first, in milliseconds. */
  pace: `${prefix}:pace:`,
} as const

const all = [
  ...[key.tenants, key.line, key.active, key.called, key.owners],
  ...[key.shares, key.ends, key.clock, key.sequence, key.pace],
]

const names = `
local tenants, line, active, called, owners = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local shares, ends, clock, sequence, pace = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
`

/** ARGV: job, tenant, weight, most active jobs. Does nothing with a job that is in line or active. */
const joinLine = `${names}
local job, tenant = ARGV[1], ARGV[2]
redis.call('HSET', shares, tenant, ARGV[3] .. ':' .. ARGV[4])
if redis.call('HSETNX', owners, job, tenant) == 0 then return 0 end
redis.call('ZADD', line .. tenant, redis.call('INCR', sequence), job)
if not redis.call('ZSCORE', tenants, tenant) then
  local start = math.max(tonumber(redis.call('GET', clock) or '0'), tonumber(redis.call('HGET', ends, tenant) or '0'))
  redis.call('ZADD', tenants, string.format('%.17g', start), tenant)
end
return 1
`

/**
 * ARGV: how many jobs may be called without having begun, milliseconds after which such a job is called again.
 * Answers the jobs that are to be given to the workers.
 */
const callNext = `${names}
local ahead, overdue = tonumber(ARGV[1]), tonumber(ARGV[2])
local at = now()
local jobs = redis.call('ZRANGEBYSCORE', called, '-inf', at - overdue)
for _, job in ipairs(jobs) do redis.call('ZADD', called, at, job) end
local waiting = redis.call('ZCARD', called)
while waiting < ahead do
  local found = false
  local order = redis.call('ZRANGE', tenants, 0, -1, 'WITHSCORES')
  for index = 1, #order, 2 do
    local tenant, start = order[index], tonumber(order[index + 1])
    local weight, most = string.match(redis.call('HGET', shares, tenant) or '1:1', '^(%d+):(%d+)$')
    if redis.call('SCARD', active .. tenant) < tonumber(most) then
      local job = redis.call('ZPOPMIN', line .. tenant)[1]
      local finish = string.format('%.17g', start + 1 / tonumber(weight))
      if redis.call('ZCARD', line .. tenant) == 0 then redis.call('ZREM', tenants, tenant)
      else redis.call('ZADD', tenants, finish, tenant) end
      if job then
        redis.call('HSET', ends, tenant, finish)
        redis.call('SET', clock, string.format('%.17g', math.max(start, tonumber(redis.call('GET', clock) or '0'))))
        redis.call('SADD', active .. tenant, job)
        redis.call('ZADD', called, at, job)
        table.insert(jobs, job)
        waiting = waiting + 1
      end
      found = true
      break
    end
  end
  if not found then break end
end
return jobs
`

/** ARGV: job, how many beginnings are kept in mind. */
const beginTurn = `${names}
if redis.call('ZREM', called, ARGV[1]) == 0 then return 0 end
local tenant = redis.call('HGET', owners, ARGV[1])
if not tenant then return 0 end
redis.call('LPUSH', pace .. tenant, now())
redis.call('LTRIM', pace .. tenant, 0, tonumber(ARGV[2]) - 1)
return 1
`

/** ARGV: job. */
const endTurn = `${names}
local job = ARGV[1]
local tenant = redis.call('HGET', owners, job)
if not tenant then return 0 end
redis.call('HDEL', owners, job)
redis.call('ZREM', called, job)
redis.call('SREM', active .. tenant, job)
if redis.call('ZREM', line .. tenant, job) == 1 and redis.call('ZCARD', line .. tenant) == 0 then
  redis.call('ZREM', tenants, tenant)
end
return 1
`

/** ARGV: job. */
const findTurn = `${names}
local tenant = redis.call('HGET', owners, ARGV[1])
if not tenant then return 'none' end
if redis.call('ZSCORE', line .. tenant, ARGV[1]) then return 'in-line' end
if redis.call('ZSCORE', called, ARGV[1]) then return 'called' end
return 'active'
`

const countInLine = `${names}
local count = 0
for _, tenant in ipairs(redis.call('ZRANGE', tenants, 0, -1)) do count = count + redis.call('ZCARD', line .. tenant) end
return count
`

/** ARGV: tenant. Answers how many turns began in how many milliseconds until now. */
const readPace = `${names}
local begun = redis.call('LRANGE', pace .. ARGV[1], 0, -1)
if #begun == 0 then return {0, 0} end
return {#begun, now() - tonumber(begun[#begun])}
`

const scripts = { joinLine, callNext, beginTurn, endTurn, findTurn, countInLine, readPace }

/** A tenant's part of the workers. */
export type Share = {
  /** Of the turns, beside the weights of the others that have jobs in line; a whole number. */
  readonly weight: number
  /** Jobs that may be under way at a time; as many as one likes when left out. */
  readonly runningBuilds?: number | undefined
}

/** Where a job is: `active` once a worker has begun it. */
export type Turn = 'none' | 'in-line' | 'called' | 'active'

/**
 * Jobs that may be called before a worker has begun them. Few, for whoever comes has to wait for these; more than
 * one, so that a worker finds the next job when it has ended one.
 */
const ahead = 2

/** A job that was called and not begun is called again after so long: whoever called it died. In milliseconds. */
const overdueMs = 15_000

/** Most jobs of a tenant without a limit that are under way: those that wait for another's base are among them. */
const mostActive = 256

/** Beginnings of turns that the pace is told from. */
const paceTurns = 32

/**
 * Whose turn it is: the line of each tenant's jobs in front of the queue that the workers take from. A job is
 * called, and thereby put into that queue, only when a worker is about to be free, so that what a tenant has in
 * line never stands before what another one brings.
 *
 * Turns go by start-time fair queueing (Goyal, Vin, Cheng, 1996): each turn takes a tenant 1/weight of the
 * scheduler's time, the tenant whose next turn begins first is called, and one who comes begins now, whatever it
 * has missed. Over any stretch in which they have jobs in line two tenants get turns as their weights are, but for
 * one turn; nobody waits for more turns than the others have weight. Priorities of BullMQ's own could say the same,
 * but are whole numbers up to 2^21, and a job that waits for its tenant's limit would have to be tried and put back.
 *
 * All of it is a working copy: jobs that are missing here are found by the records of their builds, and those that
 * are here without need are removed (`BuildWorker.reconcile`).
 */
export class Turns {
  readonly #redis: Redis

  constructor(redis: Redis) {
    for (const [name, lua] of Object.entries(scripts))
      redis.defineCommand(name, { lua, numberOfKeys: all.length })
    this.#redis = redis
  }

  /** A job comes into the line of its tenant. One that has come already stays where it is. */
  async join(job: string, tenant: string, { weight, runningBuilds = mostActive }: Share): Promise<void> {
    const most = Math.min(runningBuilds, mostActive)
    await whileAvailable(() => this.#redis.joinLine(...all, job, tenant, weight, most))
  }

  /** The jobs whose turn it is: to be given to the workers now, once more perhaps. */
  async call(): Promise<string[]> {
    return whileAvailable(() => this.#redis.callNext(...all, ahead, overdueMs))
  }

  /** A worker has a job: the next one may be called. */
  async begin(job: string): Promise<void> {
    await whileAvailable(() => this.#redis.beginTurn(...all, job, paceTurns))
  }

  /** A job has ended, or is not to be run any more. */
  async end(job: string): Promise<void> {
    await whileAvailable(() => this.#redis.endTurn(...all, job))
  }

  async find(job: string): Promise<Turn> {
    return (await whileAvailable(() => this.#redis.findTurn(...all, job))) as Turn
  }

  /** Jobs that have not been called. */
  async count(): Promise<number> {
    return whileAvailable(() => this.#redis.countInLine(...all))
  }

  /** Seconds that a tenant's turns have taken lately, one by one; undefined when it had none. */
  async pace(tenant: string): Promise<number | undefined> {
    const [count, ms] = await whileAvailable(() => this.#redis.readPace(...all, tenant))
    return count === 0 ? undefined : ms / 1000 / count
  }

  /** Every job that is in line or active. */
  async *jobs(): AsyncGenerator<string> {
    let cursor = '0'
    do {
      const [next, found] = await whileAvailable(() => this.#redis.hscan(key.owners, cursor, 'COUNT', 500))
      for (let index = 0; index < found.length; index += 2) yield found[index] ?? ''
      cursor = next
    } while (cursor !== '0')
  }
}
