import { rm } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { startRedisServer, type RedisServer } from '@edgesmith/builds/redis-server'

/** A redis-server behind an address that stays the same, whatever becomes of the server. */
export class SteadyRedis implements AsyncDisposable {
  readonly url: string
  readonly #dataDirectory: string
  readonly #listener: Server
  readonly #sockets = new Set<Socket>()
  #server: RedisServer | undefined

  private constructor(directory: string) {
    this.#dataDirectory = join(directory, 'redis')
    this.url = join(directory, 'steady.sock')
    this.#listener = createServer((client) => {
      const { url } = this.#server ?? {}
      if (url === undefined) {
        client.destroy()
        return
      }
      const server = createConnection(new URL(url).pathname)
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#sockets.add(from)
        from.on('error', () => undefined).pipe(to)
        from.once('close', () => {
          this.#sockets.delete(from)
          to.destroy()
        })
      }
    })
  }

  /** Starts a server whose data is below the directory. */
  static async open(directory: string): Promise<SteadyRedis> {
    const steady = new SteadyRedis(directory)
    await steady.start()
    await new Promise<void>((resolve) => steady.#listener.listen(steady.url, resolve))
    return steady
  }

  async start(): Promise<void> {
    this.#server = await startRedisServer({
      dataDirectory: this.#dataDirectory,
      onUnexpectedExit: () => undefined,
    })
  }

  /** Ends the server without a chance to put anything in order. Nobody answers at the address then. */
  async kill(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    process.kill(server.pid, 'SIGKILL')
    await server[Symbol.asyncDispose]()
    for (const socket of this.#sockets) socket.destroy()
  }

  /** The server hangs: connections stay, and nothing is answered. */
  pause(): void {
    this.#signal('SIGSTOP')
  }

  resume(): void {
    this.#signal('SIGCONT')
  }

  /** An empty server takes the place of this one. */
  async wipe(): Promise<void> {
    await this.kill()
    await rm(this.#dataDirectory, { recursive: true })
    await this.start()
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#server === undefined) throw new Error('There is no server.')
    process.kill(this.#server.pid, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close()
    if (this.#server !== undefined) this.resume()
    for (const socket of this.#sockets) socket.destroy()
    await this.#server?.[Symbol.asyncDispose]()
  }
}
