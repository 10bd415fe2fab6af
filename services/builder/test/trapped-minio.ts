import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { startMinio, type MinioServer } from '../../../deploy/minio/server.ts'

/** A request that kills MinIO, by its first bytes: before it arrives, or when it is done and before it is answered. */
export type Trap = { readonly request: RegExp; readonly when: 'sent' | 'done' }

/** A MinIO behind an address that stays the same. It is killed at a request, and comes back when it was missed enough. */
export class TrappedMinio implements AsyncDisposable {
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  readonly #dataDir: string
  readonly #listener: Server
  readonly #sockets = new Set<Socket>()
  #server: MinioServer | undefined
  #trap: Trap | undefined
  #isSprung = Promise.withResolvers<undefined>()
  /** Told of each attempt to reach the server while it is away. */
  #onMissed: () => void = () => undefined

  private constructor(dataDir: string, server: MinioServer, listener: Server) {
    this.#dataDir = dataDir
    this.#server = server
    this.#listener = listener
    this.endpoint = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
    this.accessKey = server.accessKey
    this.secretKey = server.secretKey
    listener.on('connection', (client: Socket) => {
      this.#pass(client)
    })
  }

  static async open(dataDir: string): Promise<TrappedMinio> {
    const listener = createServer().listen(0, '127.0.0.1')
    await once(listener, 'listening')
    return new TrappedMinio(dataDir, await startMinio({ dataDir }), listener)
  }

  /** Sets a trap; settles once MinIO was killed by it, was then missed so often, and is back with what it had. */
  async awayAt(trap: Trap, { missed }: { missed: number }): Promise<void> {
    this.#isSprung = Promise.withResolvers()
    this.#trap = trap
    await this.#isSprung.promise
    const enough = Promise.withResolvers<undefined>()
    let count = 0
    this.#onMissed = () => {
      count += 1
      if (count === missed) enough.resolve(undefined)
    }
    await enough.promise
    const { accessKey, secretKey } = this
    this.#server = await startMinio({ dataDir: this.#dataDir, accessKey, secretKey })
  }

  #pass(client: Socket): void {
    const endpoint = this.#server?.endpoint
    client.on('error', () => undefined)
    if (endpoint === undefined) {
      client.destroy()
      this.#onMissed()
      return
    }
    const server = connect(Number(new URL(endpoint).port), '127.0.0.1')
    let isLast = false
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from)
      from.on('error', () => undefined)
      from.on('data', (bytes: Buffer) => {
        const isCaught = from === client && this.#trap?.request.test(bytes.toString('latin1', 0, 4096))
        if (isCaught === true && this.#trap?.when === 'done') isLast = true
        else if (isCaught === true || (from === server && isLast)) {
          this.#spring()
          return
        }
        if (to.write(bytes)) return
        from.pause()
        to.once('drain', () => from.resume())
      })
      from.once('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
    }
  }

  #spring(): void {
    this.#trap = undefined
    this.#server?.kill()
    this.#server = undefined
    for (const socket of this.#sockets) socket.destroy()
    this.#isSprung.resolve(undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close()
    for (const socket of this.#sockets) socket.destroy()
    await this.#server?.[Symbol.asyncDispose]()
  }
}
