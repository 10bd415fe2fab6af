import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

type Exchange = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** How far the client was, in bytes, when it was last seen to be fast enough, or not to be waited for. */
  mark: { progress: number; at: number }
}

/** What a client that is waited for has to send or read, in bytes for each second of the time that it may be idle. */
const defaultRate = 100

/**
 * Cuts off clients that neither send nor read, and those that do so a few bytes at a time; but not one that waits
 * for the service: while the service has not read what came, as during a failure of the object store that an upload
 * sits out, or has not answered, a connection is silent through no fault of the client's.
 */
export function cutIdleConnections(server: Server, idleTimeoutMs: number, minimumRate = defaultRate): void {
  const current = new Map<Socket, Exchange>()
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request
    if (!current.has(socket)) socket.once('close', () => current.delete(socket))
    current.set(socket, { request, response, mark: markOf(socket) })
  })
  server.on('timeout', (socket: Socket) => {
    const { bytesRead } = socket
    // When this process was held up, what the client sent meanwhile has come and is read only now.
    setImmediate(() => {
      const exchange = current.get(socket)
      const isActive = socket.bytesRead > bytesRead || (exchange !== undefined && isServicesTurn(exchange))
      if (isActive) socket.setTimeout(idleTimeoutMs)
      else socket.destroy()
    })
  })
  server.on('listening', () => {
    cutSlowClients(server, current, { idleTimeoutMs, minimumRate })
  })
}

/** Looks ten times within the time that a client may be idle whether those that are waited for get on. */
function cutSlowClients(
  server: Server,
  current: ReadonlyMap<Socket, Exchange>,
  { idleTimeoutMs, minimumRate }: { idleTimeoutMs: number; minimumRate: number },
): void {
  const lookEveryMs = idleTimeoutMs / 10
  const leastBytes = (minimumRate * idleTimeoutMs) / 1000
  let lookedAt = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    // A process that was held up has not seen what its clients did meanwhile.
    const wasHeldUp = now - lookedAt > 3 * lookEveryMs
    lookedAt = now
    for (const [socket, exchange] of current) {
      const { mark } = exchange
      const isFastEnough = progressOf(socket) - mark.progress >= leastBytes
      if (wasHeldUp || isFastEnough || !isClientsTurn(exchange)) exchange.mark = markOf(socket)
      else if (now - mark.at > idleTimeoutMs) socket.destroy()
    }
  }, lookEveryMs)
  timer.unref()
  server.once('close', () => {
    clearInterval(timer)
  })
}

function markOf(socket: Socket): Exchange['mark'] {
  return { progress: progressOf(socket), at: performance.now() }
}

/**
 * Bytes that came from the client, and that left for it: without those that the socket still has, or libuv
 * (`net.Socket` counts a chunk as written as soon as it is handed on, and tells only itself how much of it waits).
 */
function progressOf(socket: Socket): number {
  const handed = Number(Reflect.get(socket, '_bytesDispatched') ?? 0)
  const handle = Reflect.get(socket, '_handle') as { writeQueueSize?: number } | null | undefined
  return socket.bytesRead + handed - (handle?.writeQueueSize ?? 0)
}

function isServicesTurn({ request, response }: Exchange): boolean {
  if (response.writableEnded || response.destroyed || response.writableLength > 0) return false
  return request.complete || request.readableLength > 0
}

/** Whether the client has something to read, or to send. Between requests it has neither. */
function isClientsTurn(exchange: Exchange): boolean {
  const { request, response } = exchange
  if (request.complete && response.writableFinished) return false
  return !isServicesTurn(exchange)
}
