import type { Redis, Result } from 'ioredis'

type Arguments = (string | number)[]

declare module 'ioredis' {
  interface RedisCommander<Context> {
    saveBuild(...args: Arguments): Result<[code: string, ...rest: string[]], Context>
    removeBuild(...args: Arguments): Result<string, Context>
    appendBuildEvents(...args: Arguments): Result<[code: string, ...ids: string[]], Context>
    readBuildEvents(...args: Arguments): Result<EventBatchReply, Context>
    nextBuildEventId(...args: Arguments): Result<string | null, Context>
    requestBuildCancel(...args: Arguments): Result<string, Context>
    reserveIdempotencyKey(
      ...args: Arguments
    ): Result<[outcome: string, buildId: string, age?: number], Context>
    takeIdempotencyKeyOver(...args: Arguments): Result<number, Context>
    useIdempotencyKey(...args: Arguments): Result<number, Context>
    releaseIdempotencyKey(...args: Arguments): Result<number, Context>
    renewFlight(...args: Arguments): Result<number, Context>
    endFlight(...args: Arguments): Result<number, Context>
    restoreBuild(...args: Arguments): Result<number, Context>
    lockJobAnew(...args: Arguments): Result<number, Context>
  }
}

/** What `readBuildEvents` answers; null when there is no such build. */
export type EventBatchReply =
  | [
      state: string,
      lastEventId: string,
      archiveBefore: string,
      streamExists: number,
      entries: [id: string, fields: [name: string, event: string]][],
    ]
  | null

/**
 * Event ids are chosen here rather than by `XADD *`: they have to go on rising when the stream has
 * expired after its archive was written, even if the clock was set back since.
 */
const eventFunctions = `
local function nextEventId(record)
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local last = redis.call('HGET', record, 'lastEventId')
  if not last then return string.format('%.0f-0', now) end
  local ms, sequence = string.match(last, '^(%d+)-(%d+)$')
  if now > tonumber(ms) then return string.format('%.0f-0', now) end
  return string.format('%s-%.0f', ms, tonumber(sequence) + 1)
end

local function isAfter(id, last)
  if not last then return true end
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  local lastMs, lastSequence = string.match(last, '^(%d+)-(%d+)$')
  if tonumber(ms) ~= tonumber(lastMs) then return tonumber(ms) > tonumber(lastMs) end
  return tonumber(sequence) > tonumber(lastSequence)
end

local function appendEvent(record, stream, id, event)
  if redis.call('HEXISTS', record, 'lastEventId') == 1 and redis.call('EXISTS', stream) == 0 then
    redis.call('HSET', record, 'archiveBefore', id)
  end
  redis.call('XADD', stream, id, 'event', event)
  redis.call('HSET', record, 'lastEventId', id)
end
`

/**
 * KEYS: record, stream, reservation ('' for none), then the indexes to leave, then those to join.
 * ARGV: revision expected ('' to create), run expected ('' for any), writer token, build id, state,
 * json, '1' to begin a new run, seconds the stream is kept ('' for ever), channel, seconds a used
 * reservation is kept, number of indexes to leave, then pairs of event id ('' for the next) and event.
 */
const saveBuild = `${eventFunctions}
local record, stream, reservation = KEYS[1], KEYS[2], KEYS[3]
local expected, run, writer, id, state, json = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local newRun, ttl, channel, reservationTtl, leaving = ARGV[7], ARGV[8], ARGV[9], ARGV[10], tonumber(ARGV[11])

local revision = redis.call('HGET', record, 'revision')
if redis.call('HGET', record, 'writer') == writer then
  return {'saved', revision, redis.call('HGET', record, 'run') or ''}
end
if expected == '' then
  if revision then return {'exists'} end
  if reservation ~= '' then
    if redis.call('HGET', reservation, 'buildId') ~= id then return {'reservation-lost'} end
    redis.call('HSET', reservation, 'used', '1')
    redis.call('EXPIRE', reservation, reservationTtl)
  end
else
  if not revision then return {'missing'} end
  if run ~= '' and redis.call('HGET', record, 'run') ~= run then return {'superseded'} end
  if revision ~= expected then return {'conflict'} end
end
for index = 12, #ARGV, 2 do
  if ARGV[index] ~= '' and not isAfter(ARGV[index], redis.call('HGET', record, 'lastEventId')) then
    return {'conflict'}
  end
end

revision = string.format('%.0f', (tonumber(revision or '0')) + 1)
redis.call('HSET', record, 'revision', revision, 'state', state, 'json', json, 'writer', writer)
if newRun == '1' then redis.call('HSET', record, 'run', revision) end
for index = 4, 3 + leaving do redis.call('ZREM', KEYS[index], id) end
for index = 4 + leaving, #KEYS do redis.call('ZADD', KEYS[index], 0, id) end
for index = 12, #ARGV, 2 do
  local eventId = ARGV[index]
  if eventId == '' then eventId = nextEventId(record) end
  appendEvent(record, stream, eventId, ARGV[index + 1])
end
if ttl ~= '' then redis.call('EXPIRE', stream, ttl)
elseif #ARGV >= 12 then redis.call('PERSIST', stream) end
redis.call('PUBLISH', channel, 'changed')
return {'saved', revision, redis.call('HGET', record, 'run') or ''}
`

/** KEYS: record, stream, then the indexes. ARGV: revision expected, build id, channel. */
const removeBuild = `
local revision = redis.call('HGET', KEYS[1], 'revision')
if not revision then return 'missing' end
if revision ~= ARGV[1] then return 'conflict' end
redis.call('DEL', KEYS[1], KEYS[2])
for index = 3, #KEYS do redis.call('ZREM', KEYS[index], ARGV[2]) end
redis.call('PUBLISH', ARGV[3], 'changed')
return 'removed'
`

/**
 * KEYS: record, stream. ARGV: run expected ('' for any), batch token, channel, bytes of log allowed,
 * the event that tells that the rest of the log is left out, then pairs of '1' for a log line and
 * the event. A batch that was already appended, told by its token, is not appended again.
 */
const appendBuildEvents = `${eventFunctions}
local record, stream = KEYS[1], KEYS[2]
local run, batch, channel, allowed, notice = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local state = redis.call('HGET', record, 'state')
if not state then return {'missing'} end
if redis.call('HGET', record, 'batch') == batch then return {'appended'} end
if run ~= '' and redis.call('HGET', record, 'run') ~= run then return {'superseded'} end
if state ~= 'queued' and state ~= 'running' then return {'ended', state} end

local bytes = tonumber(redis.call('HGET', record, 'logBytes') or '0')
local ids = {'appended'}
local function append(event)
  local id = nextEventId(record)
  appendEvent(record, stream, id, event)
  table.insert(ids, id)
end
for index = 6, #ARGV, 2 do
  local event = ARGV[index + 1]
  if ARGV[index] == '' then
    append(event)
  else
    if bytes <= allowed then
      bytes = bytes + #event
      if bytes <= allowed then append(event) else append(notice) end
    end
  end
end
redis.call('HSET', record, 'batch', batch, 'logBytes', string.format('%.0f', bytes))
redis.call('PERSIST', stream)
redis.call('PUBLISH', channel, 'changed')
return ids
`

/** KEYS: record, stream. ARGV: position (exclusive), how many events at the most. */
const readBuildEvents = `
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return false end
return {
  state,
  redis.call('HGET', KEYS[1], 'lastEventId') or '',
  redis.call('HGET', KEYS[1], 'archiveBefore') or '',
  redis.call('EXISTS', KEYS[2]),
  redis.call('XRANGE', KEYS[2], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
}
`

/** KEYS: record. Answers the id that the next event would get. */
const nextBuildEventId = `${eventFunctions}
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
return nextEventId(KEYS[1])
`

/** KEYS: record. ARGV: attempt, channel. Answers the state, or 'missing'. */
const requestBuildCancel = `
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 'missing' end
if state == 'running' then
  redis.call('HSET', KEYS[1], 'cancel', ARGV[1])
  redis.call('PUBLISH', ARGV[2], 'cancel')
end
return state
`

/**
 * KEYS: reservation. ARGV: fingerprint, build id, seconds a reservation is kept.
 * Answers of a request in progress for how many seconds it has been.
 */
const reserveIdempotencyKey = `
local now = tonumber(redis.call('TIME')[1])
local found = redis.call('HMGET', KEYS[1], 'fingerprint', 'buildId', 'used', 'since')
if not found[1] then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'buildId', ARGV[2], 'since', now)
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  return {'new', ARGV[2]}
end
if found[1] ~= ARGV[1] then return {'mismatch', found[2]} end
if found[3] then return {'replay', found[2]} end
return {'in-progress', found[2], now - tonumber(found[4] or '0')}
`

/** KEYS: reservation. ARGV: build id that it was for, build id that it is for from now on, seconds it is kept. */
const takeIdempotencyKeyOver = `
local found = redis.call('HMGET', KEYS[1], 'buildId', 'used')
if found[1] ~= ARGV[1] or found[2] then return 0 end
redis.call('HSET', KEYS[1], 'buildId', ARGV[2], 'since', redis.call('TIME')[1])
return redis.call('EXPIRE', KEYS[1], ARGV[3])
`

/** KEYS: reservation. ARGV: build id, seconds a used reservation is kept. */
const useIdempotencyKey = `
if redis.call('HGET', KEYS[1], 'buildId') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'used', '1')
return redis.call('EXPIRE', KEYS[1], ARGV[2])
`

/** KEYS: reservation. ARGV: build id. Gives up a reservation that no build has used. */
const releaseIdempotencyKey = `
if redis.call('HGET', KEYS[1], 'buildId') ~= ARGV[1] then return 0 end
if redis.call('HEXISTS', KEYS[1], 'used') == 1 then return 0 end
return redis.call('DEL', KEYS[1])
`

/** KEYS: lock. ARGV: token, milliseconds it is kept. */
const renewFlight = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`

/** KEYS: lock. ARGV: token. */
const endFlight = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`

/**
 * KEYS: record, stream, then the indexes. ARGV: build id, state, json, revision, id of the last event ('' for none),
 * the event to tell ('' for none), channel. Does nothing where there is a record.
 */
const restoreBuild = `${eventFunctions}
local record, stream = KEYS[1], KEYS[2]
if redis.call('EXISTS', record) == 1 then return 0 end
redis.call('HSET', record, 'revision', ARGV[4], 'state', ARGV[2], 'json', ARGV[3], 'writer', 'recovery')
if ARGV[5] ~= '' then redis.call('HSET', record, 'lastEventId', ARGV[5]) end
for index = 3, #KEYS do redis.call('ZADD', KEYS[index], 0, ARGV[1]) end
if ARGV[6] ~= '' then appendEvent(record, stream, nextEventId(record), ARGV[6]) end
redis.call('PUBLISH', ARGV[7], 'changed')
return 1
`

/**
 * KEYS: BullMQ's lock of a job, its list of active jobs, its set of jobs that may have stalled. ARGV: job, token,
 * milliseconds the lock is kept. A job that waits again, or has another lock, is not locked.
 */
const lockJobAnew = `
if redis.call('LPOS', KEYS[2], ARGV[1]) == false then return 0 end
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('SREM', KEYS[3], ARGV[1])
return 1
`

const scripts: Record<string, { lua: string; numberOfKeys?: number; readOnly?: boolean }> = {
  saveBuild: { lua: saveBuild },
  removeBuild: { lua: removeBuild },
  appendBuildEvents: { lua: appendBuildEvents, numberOfKeys: 2 },
  readBuildEvents: { lua: readBuildEvents, numberOfKeys: 2, readOnly: true },
  nextBuildEventId: { lua: nextBuildEventId, numberOfKeys: 1, readOnly: true },
  requestBuildCancel: { lua: requestBuildCancel, numberOfKeys: 1 },
  reserveIdempotencyKey: { lua: reserveIdempotencyKey, numberOfKeys: 1 },
  takeIdempotencyKeyOver: { lua: takeIdempotencyKeyOver, numberOfKeys: 1 },
  useIdempotencyKey: { lua: useIdempotencyKey, numberOfKeys: 1 },
  releaseIdempotencyKey: { lua: releaseIdempotencyKey, numberOfKeys: 1 },
  renewFlight: { lua: renewFlight, numberOfKeys: 1 },
  endFlight: { lua: endFlight, numberOfKeys: 1 },
  restoreBuild: { lua: restoreBuild },
  lockJobAnew: { lua: lockJobAnew, numberOfKeys: 3 },
}

/** Connections that have the commands. */
const defined = new WeakSet<Redis>()

/** Makes the scripts of this package commands of the connection, unless they are. */
export function defineBuildScripts(redis: Redis): Redis {
  if (defined.has(redis)) return redis
  defined.add(redis)
  for (const [name, script] of Object.entries(scripts)) redis.defineCommand(name, script)
  return redis
}
