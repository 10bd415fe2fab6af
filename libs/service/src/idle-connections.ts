import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse }

/**
 * Cuts off clients that neither send nor read, but not one that waits for the service: while the service has not
 * read what came, as during a failure of the object store that an upload sits out, or has not answered, a
 * connection is silent through no fault of the client's.
 */
export function cutIdleConnections(server: Server, idleTimeoutMs: number): void {
  const current = new WeakMap<Socket, Exchange>()
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    current.set(request.socket, { request, response })
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
}

/** How often a server that closes looks for connections that have become idle, in milliseconds. */
const lookMs = 100

/**
 * Closes the connections of a server that closes as soon as their requests are answered: clients keep them for
 * the next request, and the server would wait for that.
 */
export function closeAnsweredConnections(server: Server): void {
  const timer = setInterval(() => {
    server.closeIdleConnections()
  }, lookMs)
  server.once('close', () => {
    clearInterval(timer)
  })
}

function isServicesTurn({ request, response }: Exchange): boolean {
  if (response.writableEnded || response.destroyed || response.writableLength > 0) return false
  return request.complete || request.readableLength > 0
}
