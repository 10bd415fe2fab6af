import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import {
  closeRedis,
  isRedisUnavailable,
  openRedis,
  pingRedis,
  whileAvailable,
} from '@edgesmith/builds/redis-connection'
import { startRedisServer } from '@edgesmith/builds/redis-server'
import { fail } from './redis.ts'

describe('startRedisServer', () => {
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith redis '))
  })
  after(() => rm(directory, { recursive: true, force: true }))

  const open = (url: string) => openRedis(url, { patience: 'brief', name: 'test', onError: () => undefined })

  it('keeps what was written, also when it is killed', async () => {
    const dataDirectory = join(directory, "it's kept")
    const ended = Promise.withResolvers<Error>()
    const server = await startRedisServer({ dataDirectory, onUnexpectedExit: ended.resolve })
    const redis = open(server.url)
    await redis.set('key', 'value')
    process.kill(server.pid, 'SIGKILL')
    assert.match(
      (await ended.promise).message,
      /redis-server ended by SIGKILL\. Its last lines:\n.*ready to accept/s,
    )
    await assert.rejects(
      whileAvailable(() => redis.get('key')),
      { code: 'upstream-unavailable' },
    )
    await closeRedis(redis)
    await server[Symbol.asyncDispose]()

    await using again = await startRedisServer({ dataDirectory, onUnexpectedExit: fail })
    const second = open(again.url)
    assert.equal(await second.get('key'), 'value')
    await closeRedis(second)
  })

  it('is reachable by this user alone, and leaves no socket behind', async () => {
    const server = await startRedisServer({
      dataDirectory: join(directory, 'private'),
      onUnexpectedExit: fail,
    })
    const socket = new URL(server.url).pathname
    assert.equal((await stat(dirname(socket))).mode & 0o777, 0o700)
    await server[Symbol.asyncDispose]()
    await assert.rejects(stat(dirname(socket)), { code: 'ENOENT' })
  })

  it('refuses a data directory that another live server uses', async () => {
    const options = { dataDirectory: join(directory, 'shared'), onUnexpectedExit: fail }
    await using server = await startRedisServer(options)
    await assert.rejects(startRedisServer(options), (error: Error) => {
      assert.match(
        error.message,
        /data directory .*shared is in use by another redis-server, process \d+\. Stop that/,
      )
      return error.message.includes(`process ${server.pid}`)
    })
    const redis = open(server.url)
    await pingRedis(redis)
    await closeRedis(redis)
  })

  it('waits for one that is about to end', async () => {
    const options = { dataDirectory: join(directory, 'handed on'), onUnexpectedExit: fail }
    const first = await startRedisServer(options)
    const starting = startRedisServer(options)
    const lock = join(options.dataDirectory, 'lock')
    while (!(await hasWaiting(lock))) await new Promise(setImmediate)
    await first[Symbol.asyncDispose]()
    await using second = await starting
    assert.notEqual(second.pid, first.pid)
  })

  it('tells why the server did not start', async () => {
    const dataDirectory = join(directory, 'damaged')
    await (await startRedisServer({ dataDirectory, onUnexpectedExit: fail }))[Symbol.asyncDispose]()
    await writeFile(join(dataDirectory, 'appendonlydir/appendonly.aof.manifest'), 'no manifest\n')
    await assert.rejects(startRedisServer({ dataDirectory, onUnexpectedExit: fail }), {
      message: /redis-server ended with exit code 1\. Its last lines:\n.*manifest/s,
    })
  })

  it('names the Debian package when redis-server is absent', async () => {
    const path = process.env['PATH']
    process.env['PATH'] = directory
    try {
      await assert.rejects(
        startRedisServer({ dataDirectory: join(directory, 'none'), onUnexpectedExit: fail }),
        {
          message: /redis-server is not installed: install the Debian package redis-server/,
        },
      )
    } finally {
      process.env['PATH'] = path
    }
  })

  it('dies with the process that started it', async () => {
    const script = `
      import { startRedisServer } from '@edgesmith/builds/redis-server'
      const server = await startRedisServer({ dataDirectory: process.argv[1], onUnexpectedExit: () => {} })
      console.log(JSON.stringify({ url: server.url }))
      setInterval(() => {}, 1000)
    `
    const parent = spawn(
      process.execPath,
      ['--input-type=module-typescript', '--eval', script, join(directory, 'orphan')],
      { stdio: ['ignore', 'pipe', 'inherit'], cwd: import.meta.dirname },
    )
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string]
    const { url } = JSON.parse(line) as { url: string }
    const closed = Promise.withResolvers<unknown>()
    const redis = open(url)
    redis.once('close', closed.resolve)
    await redis.ping()
    parent.kill('SIGKILL')
    await closed.promise
    await closeRedis(redis)
    await using server = await startRedisServer({
      dataDirectory: join(directory, 'orphan'),
      onUnexpectedExit: fail,
    })
    assert.ok(server.pid)
    await rm(dirname(new URL(url).pathname), { recursive: true, force: true })
  })
})

/** Whether a process waits for the lock of a file (proc(5), `/proc/locks`). */
async function hasWaiting(path: string): Promise<boolean> {
  const { ino } = await stat(path)
  const locks = (await readFile('/proc/locks', 'utf8')).split('\n')
  return locks.some((line) => line.includes('-> FLOCK') && line.includes(`:${ino} `))
}

describe('openRedis', () => {
  const options = { patience: 'brief', name: 'test', onError: () => undefined } as const

  it('refuses what is not a URL of Redis', () => {
    for (const url of ['http://localhost', 'localhost:6379', '', 'redis://localhost/x']) {
      assert.throws(() => openRedis(url, options), TypeError, url)
    }
  })

  it('takes the parts of a URL', async () => {
    const seen: string[] = []
    const server = createServer((socket) => {
      socket.on('data', (data) => {
        seen.push(data.toString())
        socket.destroy()
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const redis = openRedis(`redis://us%40er:pass%2Fword@127.0.0.1:${port}/3`, options)
    await assert.rejects(redis.ping(), isRedisUnavailable)
    assert.equal(redis.options.db, 3)
    await closeRedis(redis)
    server.close()
    assert.match(seen.join(''), /us@er\r\n\$9\r\npass\/word/)
    const secure = openRedis('rediss://[::1]:6380', options)
    assert.equal(secure.options.host, '::1')
    assert.ok(secure.options.tls)
    await closeRedis(secure)
  })
})
