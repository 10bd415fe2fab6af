import type { Readable } from 'node:stream'
import { noteForAudit } from '@edgesmith/audit/audit-routes'
import {
  DownloadsQuery,
  Fleet,
  FleetDownloads,
  FleetId,
  FleetPage,
  FleetSitePage,
  FleetSpec,
  ListFleetsQuery,
  ListSitesQuery,
  SiteName,
} from '@edgesmith/contract/fleet'
import { fleetObject } from '@edgesmith/fleets/fleet-record'
import { isoOf } from '@edgesmith/fleets/iso-of'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { inProject, type GatewayContext } from '../context.ts'
import { deleteFleet } from '../fleet-delete.ts'
import { acceptedFormat, listDownloads, toCsv, toSha256sum } from '../fleet-downloads.ts'
import { FleetForm } from '../fleet-form.ts'
import { readFleetRequest, tableLimitBytes } from '../fleet-intake.ts'
import { submitFleet } from '../fleet-submit.ts'
import { chooseIsos, openTar, tarSize } from '../fleet-tar.ts'
import { withoutBodyValidation } from '../submission-form.ts'

const Params = Type.Object({ id: FleetId })
const asJson = (schema: object, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

/** The routes of `/v1/fleets`. */
export function fleetRoutes(app: App, context: GatewayContext): void {
  addFleets(app, context)
  addSites(app, context)
  addDownloads(app, context)
}

function addFleets(app: App, context: GatewayContext): void {
  app.post(
    '/v1/fleets',
    {
      bodyLimit: tableLimitBytes,
      validatorCompiler: withoutBodyValidation,
      config: { scope: 'builds:write' },
      schema: {
        operationId: 'createFleet',
        tags: ['fleets'],
        summary: 'Ask for the ISOs of many sites',
        description:
          'Renders the user-data of each site from the template and the table, checks all of it, and makes one build for each site. The body is the fleet spec as JSON or YAML, or a form with a part `spec`, parts `template` and `sites`, and the files of the base as parts named by role. Nothing is kept when a row has a fault; the problem tells those of all rows.',
        headers: Type.Object({
          'idempotency-key': Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 255,
              pattern: '^[!-~]+$',
              description: 'Makes repeating the request safe, for 24 hours.',
            }),
          ),
        }),
        body: {
          content: {
            'application/json': { schema: FleetSpec },
            'application/yaml': { schema: FleetSpec },
            'multipart/form-data': { schema: FleetForm },
          },
        },
        response: {
          202: {
            ...asJson(Fleet, 'The builds are queued.'),
            headers: {
              Location: { type: 'string', format: 'uri-reference', description: 'The fleet.' },
            },
          },
          ...problemResponses(
            'malformed-request',
            'invalid-parameter',
            'idempotency-key-in-use',
            'content-too-large',
            'unsupported-media-type',
            'invalid-body',
            'invalid-input',
            'idempotency-key-reused',
            'queue-full',
            'too-many-uploads',
            'quota-exceeded',
          ),
        },
      },
    },
    async (request, reply) => {
      // Rather than to receive the files first and refuse them then.
      await context.wholeness.assert()
      const own = inProject(context, request.principal)
      const { store, uploadLimits } = own
      const asked = await readFleetRequest(request, { store, limits: uploadLimits })
      await using _submission = asked.submission
      const { fleet, replayed } = await submitFleet(own, asked, request.headers['idempotency-key'])
      reply.code(202).header('location', `/v1/fleets/${fleet.id}`)
      if (replayed) reply.header('idempotent-replayed', 'true')
      return fleet
    },
  )

  app.get(
    '/v1/fleets',
    {
      config: { scope: 'builds:read' },
      schema: {
        operationId: 'listFleets',
        tags: ['fleets'],
        summary: 'List fleets, newest first',
        querystring: ListFleetsQuery,
        response: { 200: asJson(FleetPage, 'A page of fleets.'), ...problemResponses('invalid-parameter') },
      },
    },
    (request) => inProject(context, request.principal).fleets.list(request.query),
  )

  app.get(
    '/v1/fleets/:id',
    {
      config: { scope: 'builds:read' },
      schema: {
        operationId: 'getFleet',
        tags: ['fleets'],
        summary: 'Tell about a fleet',
        params: Params,
        response: {
          200: asJson(Fleet, 'The fleet.'),
          ...problemResponses('invalid-parameter', 'fleet-not-found'),
        },
      },
    },
    (request) => inProject(context, request.principal).fleets.get(request.params.id),
  )

  app.post(
    '/v1/fleets/:id/cancel',
    {
      config: { scope: 'builds:write' },
      schema: {
        operationId: 'cancelFleet',
        tags: ['fleets'],
        summary: 'Cancel the builds of a fleet',
        description: 'Those that have not ended are canceled shortly; ISOs that are ready stay.',
        params: Params,
        response: {
          202: asJson(Fleet, 'The fleet is about to be canceled.'),
          ...problemResponses('invalid-parameter', 'fleet-not-found', 'state-conflict'),
        },
      },
    },
    async (request, reply) => {
      const { fleets, fleetQueue, store } = inProject(context, request.principal)
      const fleet = await fleets.cancel(request.params.id)
      await store.put(fleetObject.canceled(fleet.id), Buffer.alloc(0))
      await fleetQueue.enqueue(fleet.id)
      return reply.code(202).send(fleet)
    },
  )

  app.delete(
    '/v1/fleets/:id',
    {
      config: { scope: 'builds:write' },
      schema: {
        operationId: 'deleteFleet',
        tags: ['fleets'],
        summary: 'Delete an ended fleet with its builds and artifacts',
        params: Params,
        response: {
          204: { description: 'The fleet is gone.', type: 'null' },
          ...problemResponses('invalid-parameter', 'fleet-not-found', 'state-conflict'),
        },
      },
    },
    async (request, reply) => {
      await deleteFleet(inProject(context, request.principal), request.params.id)
      return reply.code(204).send(null)
    },
  )
}

function addSites(app: App, context: GatewayContext): void {
  app.get(
    '/v1/fleets/:id/sites',
    {
      config: { scope: 'builds:read' },
      schema: {
        operationId: 'listFleetSites',
        tags: ['fleets'],
        summary: 'List the sites of a fleet, in the order of the table',
        params: Params,
        querystring: ListSitesQuery,
        response: {
          200: asJson(FleetSitePage, 'A page of sites.'),
          ...problemResponses('invalid-parameter', 'fleet-not-found'),
        },
      },
    },
    async ({ principal, params: { id }, query: { state, limit, cursor: after } }) => {
      const { fleets } = inProject(context, principal)
      await fleets.get(id)
      const builds = await fleets.listBuilds(id, { state, after, limit: limit + 1 })
      const last = builds.length > limit ? builds[limit - 1] : undefined
      return {
        items: builds.slice(0, limit).map((build) => {
          const iso = isoOf(build)
          return {
            site: build.fleet?.site ?? '',
            buildId: build.id,
            state: build.state,
            ...(iso === undefined ? {} : { artifactId: iso.id }),
          }
        }),
        ...(last === undefined ? {} : { nextCursor: last.id }),
      }
    },
  )
}

function addDownloads(app: App, context: GatewayContext): void {
  const text = Type.Unsafe<string>(Type.String())

  app.get(
    '/v1/fleets/:id/downloads',
    {
      exposeHeadRoute: false,
      config: { scope: 'artifacts:download', audit: true },
      schema: {
        operationId: 'listFleetDownloads',
        tags: ['fleets'],
        summary: 'List signed URLs and checksums of the ISOs that are ready',
        description:
          'JSON, CSV, or what `sha256sum --check` takes. SHA-256 of stamped ISOs are computed when `sha256sum` is first asked for, in the background; until then JSON and CSV leave them out.',
        params: Params,
        querystring: DownloadsQuery,
        response: {
          200: {
            description: 'The ISOs, in the order of the table.',
            content: {
              'application/json': { schema: FleetDownloads },
              'text/csv': { schema: text },
              'text/plain': { schema: text },
            },
          },
          ...problemResponses('invalid-parameter', 'fleet-not-found', 'checksums-pending', 'state-conflict'),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { format = acceptedFormat(request.headers.accept), ttlSeconds } = request.query
      const own = inProject(context, request.principal)
      const downloads = await listDownloads(own, id, ttlSeconds)
      switch (format) {
        case 'json':
          return downloads
        case 'csv':
          return reply.type('text/csv; charset=utf-8').send(toCsv(downloads))
        case 'sha256sum':
          return reply.type('text/plain; charset=utf-8').send(await toSha256sum(own, id, downloads))
      }
    },
  )

  app.get(
    '/v1/fleets/:id/archive',
    {
      exposeHeadRoute: false,
      config: { scope: 'artifacts:download', audit: true },
      schema: {
        operationId: 'downloadFleetArchive',
        tags: ['fleets'],
        summary: 'Download ISOs of a fleet as one tar',
        params: Params,
        querystring: Type.Object(
          {
            site: Type.Optional(
              // As many as fit into a URL that the service takes, however long their names are.
              Type.Union([Type.Array(SiteName, { maxItems: 100 }), SiteName], {
                description: 'Sites wanted, repeatable; all by default.',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: {
          200: {
            description: 'The tar: `<ISO_NAME>.iso` for each site.',
            content: {
              'application/x-tar': {
                schema: Type.Unsafe<Readable>({
                  type: 'string',
                  contentMediaType: 'application/octet-stream',
                }),
              },
            },
          },
          ...problemResponses('invalid-parameter', 'fleet-not-found', 'site-not-found', 'state-conflict'),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const own = inProject(context, request.principal)
      const isos = await chooseIsos(own, id, [request.query.site ?? []].flat())
      noteForAudit(request, { download: { bytes: tarSize(isos) } })
      return reply
        .headers({
          'content-type': 'application/x-tar',
          'content-length': tarSize(isos),
          'content-disposition': `attachment; filename="fleet-${id}.tar"`,
        })
        .send(openTar(own.store, isos))
    },
  )
}
