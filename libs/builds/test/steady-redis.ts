import { rm } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { startRedisServer, type RedisServer } from '@edgesmith/builds/redis-server'

/** What kills a server. */
type Trap = {
  readonly text: string
  readonly when: 'sent' | 'done'
  readonly spring: (value: undefined) => void
}

/** A redis-server behind an address that stays the same, whatever becomes of the server. */
export class SteadyRedis implements AsyncDisposable {
  readonly url: string
  readonly #dataDirectory: string
  readonly #listener: Server
  readonly #sockets = new Set<Socket>()
  #server: RedisServer | undefined
  #trap: Trap | undefined

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
      let isLast = false
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#sockets.add(from)
        from.on('error', () => undefined)
        from.on('data', (bytes: Buffer) => {
          if (isLast) {
            // What answers the last command is not told any more, unless the server asks for the whole script.
            if (from === client || !bytes.subarray(0, 9).equals(Buffer.from('-NOSCRIPT'))) {
              if (from === server) this.#spring()
              return
            }
            isLast = false
          }
          const isCaught = from === client && this.#trap !== undefined && bytes.includes(this.#trap.text)
          if (isCaught && this.#trap?.when === 'sent') {
            this.#spring()
            return
          }
          isLast = isCaught
          to.write(bytes)
        })
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
    return steady
  }

  async start(): Promise<void> {
    this.#server = await startRedisServer({
      dataDirectory: this.#dataDirectory,
      onUnexpectedExit: () => undefined,
    })
    if (!this.#listener.listening)
      await new Promise<void>((resolve) => this.#listener.listen(this.url, resolve))
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

  /** Kills the server, and nobody listens at the address. */
  async remove(): Promise<void> {
    this.#listener.close()
    await this.kill()
  }

  /**
   * Kills the server once a client sends this text: before it arrives, or when it has been done and before that is
   * answered. Resolves when the server is dead.
   */
  async killAt(text: string, when: Trap['when']): Promise<void> {
    const sprung = Promise.withResolvers<undefined>()
    this.#trap = { text, when, spring: sprung.resolve }
    await sprung.promise
    await this.kill()
  }

  #spring(): void {
    this.#trap?.spring(undefined)
    this.#trap = undefined
    for (const socket of this.#sockets) socket.destroy()
    if (this.#server !== undefined) process.kill(this.#server.pid, 'SIGKILL')
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
