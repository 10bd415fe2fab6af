import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { IdentifiedEvent } from '@edgesmith/builds/build-archive'
import { readLog } from '@edgesmith/builds/build-log'
import { EventId, ServerSentBuildEvent } from '@edgesmith/contract/event'
import { BuildId } from '@edgesmith/contract/identifiers'
import { ProblemError } from '@edgesmith/contract/problem'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { inProject, type GatewayContext } from '../context.ts'

const Params = Type.Object({ id: BuildId })

/** How often a silent event stream shows that it is alive, in milliseconds. */
const heartbeatMs = 15_000

/** `GET /v1/builds/{id}/events` and `GET /v1/builds/{id}/logs`. */
export function buildEventRoutes(app: App, context: GatewayContext): void {
  // Followers would keep the app from closing; they come back with the id of their last event.
  const closing = new AbortController()
  app.addHook('preClose', (done) => {
    closing.abort()
    done()
  })

  app.get(
    '/v1/builds/:id/events',
    {
      exposeHeadRoute: false,
      config: { scope: 'builds:read' },
      schema: {
        operationId: 'streamBuildEvents',
        tags: ['builds'],
        summary: "Follow a build's events",
        description:
          'Server-sent events: first all there were, then each as it happens, until the build ends. Send the id of the last event seen as `Last-Event-ID` to go on after it without loss.',
        params: Params,
        headers: Type.Object({
          'last-event-id': Type.Optional({ ...EventId, description: 'Id of the last event seen.' }),
        }),
        response: {
          200: {
            description:
              'The events. Each has an `id`, an `event` (`state`, `progress` or `log`) and JSON `data`.',
            content: { 'text/event-stream': { schema: Type.Unsafe<Readable>(ServerSentBuildEvent) } },
          },
          ...problemResponses('invalid-parameter', 'build-not-found'),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const gone = new AbortController()
      reply.raw.once('close', () => {
        gone.abort()
      })
      const after = request.headers['last-event-id']
      const { events } = inProject(context, request.principal)
      const sent = await events.read(id, {
        follow: true,
        signal: AbortSignal.any([gone.signal, closing.signal]),
        ...(after === undefined ? {} : { after }),
      })

      const stream = new PassThrough()
      // The head goes out at once, also where it takes a while until something happens.
      stream.write(': connected\n\n')
      const heartbeat = setInterval(() => {
        // It may have all, and wait for the client to read it.
        if (!stream.writableEnded) stream.write(': alive\n\n')
      }, heartbeatMs)
      pipeline(toServerSentEvents(sent), stream)
        .catch((error: unknown) => {
          if (!gone.signal.aborted && !closing.signal.aborted)
            request.log.error({ err: error }, 'The event stream broke off.')
        })
        .finally(() => {
          clearInterval(heartbeat)
        })
      return reply
        .headers({
          'content-type': 'text/event-stream',
          'cache-control': 'no-cache',
          'x-accel-buffering': 'no',
        })
        .send(stream)
    },
  )

  app.get(
    '/v1/builds/:id/logs',
    {
      exposeHeadRoute: false,
      config: { scope: 'builds:read' },
      schema: {
        operationId: 'getBuildLog',
        tags: ['builds'],
        summary: "Read a build's log",
        description:
          'The whole log so far, as text; with `follow=true` the answer goes on until the build ends.',
        params: Params,
        querystring: Type.Object(
          { follow: Type.Boolean({ default: false, description: 'Go on with the log as it grows.' }) },
          { additionalProperties: false },
        ),
        response: {
          200: {
            description: 'The log.',
            content: { 'text/plain': { schema: Type.Unsafe<Readable>(Type.String()) } },
          },
          ...problemResponses('invalid-parameter', 'build-not-found'),
        },
      },
    },
    async (request, reply) => {
      const gone = new AbortController()
      reply.raw.once('close', () => {
        gone.abort()
      })
      const { repository, events } = inProject(context, request.principal)
      const log = await readLog({ repository, events, stores: context.stores }, request.params.id, {
        follow: request.query.follow,
        signal: AbortSignal.any([gone.signal, closing.signal]),
      })
      return reply.type('text/plain; charset=utf-8').send(Readable.from(untilClosing(log, closing.signal)))
    },
  )
}

/** A log of which nothing has been sent when the app closes is answered with this problem; others break off. */
async function* untilClosing(log: AsyncIterable<string>, closing: AbortSignal): AsyncGenerator<string> {
  try {
    yield* log
  } catch (error) {
    if (!closing.aborted) throw error
    throw new ProblemError('upstream-unavailable', 'The service stops. Ask again, another one may answer.', {
      cause: error,
      headers: { 'retry-after': '1' },
    })
  }
}

async function* toServerSentEvents(events: AsyncIterable<IdentifiedEvent>): AsyncGenerator<string> {
  for await (const { id, event } of events) {
    yield `id: ${id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
  }
}
