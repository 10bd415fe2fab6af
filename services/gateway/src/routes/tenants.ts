import { TenantId } from '@edgesmith/contract/project'
import { NewTenant, Tenant, TenantChange, TenantPage, TenantQuery } from '@edgesmith/contract/tenant'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import type { GatewayContext } from '../context.ts'
import { removeTenant } from '../project-removal.ts'

const Params = Type.Object({ tenantId: TenantId })
const json = (schema: object, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

/** The routes of `/v1/tenants`, for the operator of the service. */
export function tenantRoutes(app: App, context: GatewayContext): void {
  app.post(
    '/v1/tenants',
    {
      config: { scope: 'tenants:write' },
      schema: {
        operationId: 'createTenant',
        tags: ['tenants'],
        summary: 'Create a tenant',
        description:
          'It has the project `default`, and no credentials yet: create a first key for it, of an `admin`, with `POST /v1/keys`.',
        body: NewTenant,
        response: {
          201: {
            ...json(Tenant, 'The tenant.'),
            headers: { Location: { type: 'string', format: 'uri-reference', description: 'The tenant.' } },
          },
          ...problemResponses('malformed-request', 'invalid-parameter', 'invalid-body', 'tenant-exists'),
        },
      },
    },
    async (request, reply) => {
      const tenant = await context.identity.tenants.create(request.body)
      return reply.code(201).header('location', `/v1/tenants/${tenant.id}`).send(tenant)
    },
  )

  app.get(
    '/v1/tenants',
    {
      config: { scope: 'tenants:read' },
      schema: {
        operationId: 'listTenants',
        tags: ['tenants'],
        summary: 'List the tenants of the service',
        description: 'By their identifiers.',
        querystring: TenantQuery,
        response: { 200: json(TenantPage, 'A page of tenants.'), ...problemResponses('invalid-parameter') },
      },
    },
    (request) => context.identity.tenants.list(request.query),
  )

  app.get(
    '/v1/tenants/:tenantId',
    {
      config: { scope: 'tenants:read' },
      schema: {
        operationId: 'getTenant',
        tags: ['tenants'],
        summary: 'Tell about a tenant',
        params: Params,
        response: {
          200: json(Tenant, 'The tenant.'),
          ...problemResponses('invalid-parameter', 'tenant-not-found'),
        },
      },
    },
    (request) => context.identity.tenants.require(request.params.tenantId),
  )

  app.patch(
    '/v1/tenants/:tenantId',
    {
      config: { scope: 'tenants:write' },
      schema: {
        operationId: 'changeTenant',
        tags: ['tenants'],
        summary: 'Change the name, weight or limits of a tenant',
        description: 'What the body leaves out stays; `limits` take the place of all limits there were.',
        params: Params,
        body: TenantChange,
        response: {
          200: json(Tenant, 'The tenant as it is now.'),
          ...problemResponses('malformed-request', 'invalid-parameter', 'invalid-body', 'tenant-not-found'),
        },
      },
    },
    (request) => context.identity.tenants.change(request.params.tenantId, request.body),
  )

  app.delete(
    '/v1/tenants/:tenantId',
    {
      config: { scope: 'tenants:write' },
      schema: {
        operationId: 'deleteTenant',
        tags: ['tenants'],
        summary: 'Delete a tenant',
        description:
          'Only one whose projects hold nothing any more, and never `default`. Its credentials are refused from then on, its audit record stays, and its identifier is not used again.',
        params: Params,
        response: {
          204: { description: 'The tenant is gone.', type: 'null' },
          ...problemResponses('invalid-parameter', 'tenant-not-found', 'tenant-in-use', 'project-in-use'),
        },
      },
    },
    async (request, reply) => {
      await removeTenant(context, request.params.tenantId)
      return reply.code(204).send(null)
    },
  )
}
