import fastifyRateLimit, { normalizeIP } from '@fastify/rate-limit'
import { openRedis } from '@edgesmith/builds/redis-connection'
import { ProblemError } from '@edgesmith/contract/problem'
import { knownPrincipal, type Admit } from '@edgesmith/service/access'
import type { App } from '@edgesmith/service/app'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Redis } from 'ioredis'

/** How many requests are answered within a minute; 0 sets no limit. */
export type RateLimits = {
  /** Of an API key, or of the subject of a token. */
  readonly perKey: number
  /** Of an address: those that need no credentials, and, counted apart, those whose credentials are refused. */
  readonly perAddress: number
}

const windowMs = 60_000

/** What supervisors ask for, often from one address for all replicas. */
const uncounted = ['/healthz', '/readyz']

/**
 * Counts a request and answers how many there were in the window, and when it ends, in milliseconds. What is counted
 * is neither synced to disk nor told to replicas of Redis: a Redis that keeps everything before it answers would
 * do each request of each client a disk write. KEYS: the counter. ARGV: the window.
 */
const countWithoutKeeping = `
if redis.set_repl then redis.set_repl(redis.REPL_NONE) end
local current = redis.call('INCR', KEYS[1])
if current == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {current, redis.call('PTTL', KEYS[1])}`

/** Connects to the Redis that requests are counted in. Close it with `closeRedis`. */
export function openCounters(url: string, onError: (error: Error) => void): Redis {
  const counters = openRedis(url, { patience: 'none', name: 'gateway-counters', onError })
  // @fastify/rate-limit takes the command that there is for its own, which writes to disk.
  counters.defineCommand('rateLimit', { numberOfKeys: 1, lua: countWithoutKeeping })
  return counters
}

/**
 * Counts the requests of an app in Redis, so that replicas of the gateway count together, and refuses what is
 * beyond the limits, or beyond the limit of the tenant (`requestsPerMinute`), where it has one. An event stream, a download and a chunk of an upload count as one request each. Requests that
 * Redis cannot count are answered: without it there are no limits.
 */
export async function limitRates(
  app: App,
  {
    counters,
    limits,
    limitOfTenant,
  }: {
    counters: Redis
    limits: RateLimits
    /** How many requests of a tenant are answered within a minute; undefined for no limit. */
    limitOfTenant: (tenant: string) => Promise<number | undefined>
  },
): Promise<Admit> {
  await app.register(fastifyRateLimit, {
    global: false,
    redis: counters,
    nameSpace: 'edgesmith:rate:',
    timeWindow: windowMs,
    skipOnError: true,
    keyGenerator: countedAs,
    max: (request) => limitOf(request, limits),
    allowList: (request) =>
      uncounted.includes(request.routeOptions.url ?? '') || limitOf(request, limits) === 0,
  })
  const count = app.createRateLimit()
  const tenantLimits = new WeakMap<FastifyRequest, number>()
  const countTenant = app.createRateLimit({
    keyGenerator: (request) => `tenant:${knownPrincipal(request)?.tenant ?? ''}`,
    max: (request) => tenantLimits.get(request) ?? 0,
    allowList: (request) => !tenantLimits.has(request),
  })
  return async (request, reply) => {
    const counted = await count(request)
    if (isUnknown(counted)) return
    const principal = knownPrincipal(request)
    assertWithin(reply, counted, principal === undefined ? `the address ${request.ip}` : 'these credentials')
    if (principal === undefined) return
    const limit = await limitOfTenant(principal.tenant)
    if (limit === undefined) return
    tenantLimits.set(request, limit)
    assertWithin(reply, await countTenant(request), `the tenant ${principal.tenant}`)
  }
}

type Counted = Awaited<ReturnType<ReturnType<App['createRateLimit']>>>

/** Whether Redis was not there: nothing is known of how many there were. */
function isUnknown(counted: Counted): boolean {
  return !counted.isAllowed && counted.ttl === 0
}

function assertWithin(reply: FastifyReply, counted: Counted, whose: string): void {
  if (counted.isAllowed || isUnknown(counted)) return
  const { max, remaining, ttlInSeconds, isExceeded } = counted
  reply.headers({
    'ratelimit-limit': String(max),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(ttlInSeconds),
  })
  if (!isExceeded) return
  throw new ProblemError(
    'too-many-requests',
    `${max} requests of ${whose} are answered in a minute. Go on in ${ttlInSeconds} seconds.`,
    { headers: { 'retry-after': String(ttlInSeconds) } },
  )
}

/** Whose requests a request is one of; the networks of IPv6 that are given to one site count as one address. */
function countedAs(request: FastifyRequest): string {
  const principal = knownPrincipal(request)
  if (principal !== undefined) return principal.subject
  const isOpen = request.is404 || request.routeOptions.config.scope === 'public'
  return `${isOpen ? 'open' : 'refused'}:${normalizeIP(request.ip)}`
}

function limitOf(request: FastifyRequest, { perKey, perAddress }: RateLimits): number {
  return knownPrincipal(request) === undefined ? perAddress : perKey
}
