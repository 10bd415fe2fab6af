import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'

/** How often a server that closes looks for connections that need not stay, in milliseconds. */
const lookMs = 100

/** How long a connection may be silent before its first request when the server closes, in milliseconds. */
const silenceMs = 1000

/** The connections of a server that is to close: those with a request under way have some time for it. */
export class DrainedConnections {
  readonly #server: Server
  /** Connections without a request as yet, and when they were made. Node.js does not count them as idle. */
  readonly #unused = new Map<Socket, number>()

  constructor(server: Server) {
    this.#server = server
    server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.#unused.set(socket, performance.now())
      socket.once('close', () => this.#unused.delete(socket))
    })
    server.on('request', ({ socket }: IncomingMessage) => this.#unused.delete(socket))
  }

  /**
   * Closes connections as soon as their requests are answered, for clients keep them for the next one, and all that
   * are left after `drainMs` milliseconds. To be called before the server closes.
   */
  drain(drainMs: number): void {
    const looking = setInterval(() => {
      this.#server.closeIdleConnections()
      for (const [socket, since] of this.#unused) {
        if (performance.now() - since > silenceMs) socket.destroy()
      }
    }, lookMs)
    const cutting = setTimeout(() => {
      this.#server.closeAllConnections()
    }, drainMs)
    this.#server.once('close', () => {
      clearInterval(looking)
      clearTimeout(cutting)
    })
  }
}
