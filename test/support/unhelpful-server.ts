import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'

/** Something at an address that is of no help: it closes connections, or says nothing. */
export class UnhelpfulServer implements AsyncDisposable {
  readonly url: string
  /** Settles when somebody has connected. */
  readonly called: Promise<undefined>
  readonly #close: () => Promise<unknown>

  private constructor(url: string, called: Promise<undefined>, close: () => Promise<unknown>) {
    this.url = url
    this.called = called
    this.#close = close
  }

  /** Listens on a free port of loopback; `url` begins with `tcp:`. */
  static async open(how: 'hangs up' | 'hangs'): Promise<UnhelpfulServer> {
    const sockets = new Set<Socket>()
    const called = Promise.withResolvers<undefined>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      if (how === 'hangs up') socket.destroy()
      called.resolve(undefined)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return new UnhelpfulServer(`tcp://127.0.0.1:${port}`, called.promise, async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }
}
