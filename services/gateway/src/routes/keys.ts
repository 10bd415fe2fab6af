import type { Principal } from '@edgesmith/contract/access'
import {
  ApiKey,
  ApiKeyId,
  ApiKeyPage,
  ApiKeyQuery,
  ApiKeyRotation,
  ApiKeyWithText,
  NewApiKey,
} from '@edgesmith/contract/api-key'
import { ProblemError } from '@edgesmith/contract/problem'
import {
  describeKey,
  keyNotFound,
  scopesOfKey,
  type ApiKeyRecord,
  type NewKey,
} from '@edgesmith/identity/api-keys'
import { assertCanGrant, assertCanRevoke, isWithinReach, type Powers } from '@edgesmith/identity/delegation'
import { projectNotFound } from '@edgesmith/identity/tenants'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import type { GatewayContext } from '../context.ts'

const Params = Type.Object({ keyId: ApiKeyId })
const json = (schema: object, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})
/** An answer with the text of a key, which nobody but the client may keep. */
const shownOnce = (description: string, headers: object = {}) => ({
  ...json(ApiKeyWithText, description),
  headers: {
    ...headers,
    'Cache-Control': { type: 'string', const: 'no-store', description: 'The answer holds a secret.' },
  },
})

/** The routes of `/v1/keys`: the text of a key is answered once, to whoever made or rotated it. */
export function keyRoutes(app: App, context: GatewayContext): void {
  app.post(
    '/v1/keys',
    {
      config: { scope: 'keys:write' },
      schema: {
        operationId: 'createApiKey',
        tags: ['keys'],
        summary: 'Create an API key',
        description:
          'Nobody grants more than they have: no higher role, no scope, no project, and nothing beyond the end of their own credentials. The text of the key is in this answer and in none ever after. There is no `Idempotency-Key`: where the answer was lost, revoke the key and create another.',
        body: NewApiKey,
        response: {
          201: shownOnce('The key, with its text.', {
            Location: { type: 'string', format: 'uri-reference', description: 'The key.' },
          }),
          ...problemResponses('malformed-request', 'invalid-parameter', 'invalid-body', 'tenant-not-found'),
        },
      },
    },
    async (request, reply) => {
      const wanted = toNewKey(request.principal, request.body)
      assertCanGrant(request.principal, powersOf(wanted))
      const { projects } = await context.identity.tenants.require(wanted.tenant)
      const { project } = wanted
      if (project !== undefined && !projects.some(({ id, removing }) => id === project && removing !== true))
        projectNotFound(project)
      const { record, key } = await context.identity.keys.create(wanted)
      return reply
        .code(201)
        .headers({ location: `/v1/keys/${record.id}`, 'cache-control': 'no-store' })
        .send({ ...describeKey(record), key })
    },
  )

  app.get(
    '/v1/keys',
    {
      config: { scope: 'keys:read' },
      schema: {
        operationId: 'listApiKeys',
        tags: ['keys'],
        summary: 'List the API keys of the tenant',
        description:
          'By their identifiers, revoked and expired ones too; with credentials of one project, those of that project.',
        querystring: ApiKeyQuery,
        response: {
          200: json(ApiKeyPage, 'A page of keys.'),
          ...problemResponses('invalid-parameter', 'tenant-not-found'),
        },
      },
    },
    async (request) => {
      const { principal } = request
      const { tenant = principal.tenant, ...page } = request.query
      if (tenant !== principal.tenant) {
        if (!principal.scopes.includes('tenants:read')) {
          throw new ProblemError(
            'forbidden',
            'The keys of other tenants are for who has the scope tenants:read.',
          )
        }
        await context.identity.tenants.require(tenant)
      }
      return context.identity.keys.list(tenant, page, (key) => isWithinReach(principal, key, 'tenants:read'))
    },
  )

  app.get(
    '/v1/keys/:keyId',
    {
      config: { scope: 'keys:read' },
      schema: {
        operationId: 'getApiKey',
        tags: ['keys'],
        summary: 'Tell about an API key',
        description: 'Everything but its secret.',
        params: Params,
        response: {
          200: json(ApiKey, 'The key.'),
          ...problemResponses('invalid-parameter', 'key-not-found'),
        },
      },
    },
    async (request) => describeKey(await findKey(request.principal, request.params.keyId, 'tenants:read')),
  )

  app.post(
    '/v1/keys/:keyId/rotate',
    {
      config: { scope: 'keys:write' },
      schema: {
        operationId: 'rotateApiKey',
        tags: ['keys'],
        summary: 'Give an API key another secret',
        description:
          'The secret before is accepted for `graceSeconds` longer; the one before that no more. Everything else of the key stays. The text of the key is in this answer and in none ever after.',
        params: Params,
        body: ApiKeyRotation,
        response: {
          200: shownOnce('The key, with its new text.'),
          ...problemResponses(
            'malformed-request',
            'invalid-parameter',
            'invalid-body',
            'key-not-found',
            'key-revoked',
            'key-is-configured',
          ),
        },
      },
    },
    async (request, reply) => {
      const { keyId } = request.params
      const found = await findKey(request.principal, keyId, 'tenants:write')
      assertCanGrant(request.principal, powersOf(found))
      assertNotConfigured(found)
      const { record, key } = await context.identity.keys.rotate(keyId, {
        graceMs: request.body.graceSeconds * 1000,
      })
      return reply.header('cache-control', 'no-store').send({ ...describeKey(record), key })
    },
  )

  app.delete(
    '/v1/keys/:keyId',
    {
      config: { scope: 'keys:write' },
      schema: {
        operationId: 'revokeApiKey',
        tags: ['keys'],
        summary: 'Revoke an API key',
        description:
          'The key is refused from now on, by every replica. It goes on being told of, with `revokedAt`. Once more does no harm.',
        params: Params,
        response: {
          204: { description: 'The key is revoked.', type: 'null' },
          ...problemResponses('invalid-parameter', 'key-not-found', 'key-is-configured'),
        },
      },
    },
    async (request, reply) => {
      const { keyId } = request.params
      const found = await findKey(request.principal, keyId, 'tenants:write')
      assertCanRevoke(request.principal, powersOf(found))
      assertNotConfigured(found)
      await context.identity.keys.revoke(keyId)
      return reply.code(204).send(null)
    },
  )

  /** @throws ProblemError `key-not-found`, for one that is out of the principal's reach as well */
  async function findKey(
    principal: Principal,
    id: string,
    operatorScope: 'tenants:read' | 'tenants:write',
  ): Promise<ApiKeyRecord> {
    const found = await context.identity.keys.find(id)
    if (found === undefined || !isWithinReach(principal, found, operatorScope)) throw keyNotFound(id)
    return found
  }
}

/**
 * What a principal asks for, with what it left out.
 * @throws ProblemError `forbidden` when it is beyond its tenant or project, `invalid-body` for an end that has passed
 */
function toNewKey(
  principal: Principal,
  { name, role, scopes, tenant = principal.tenant, project: named, expiresAt }: NewApiKey,
): NewKey {
  const project = named ?? (principal.everyProject === true ? undefined : principal.project)
  if (!isWithinReach(principal, { tenant, project }, 'tenants:write')) {
    throw new ProblemError(
      'forbidden',
      tenant === principal.tenant
        ? `These credentials are for the project ${principal.project}, and so is every key that they create.`
        : 'Keys of other tenants are for who has the scope tenants:write.',
    )
  }
  const end = expiresAt === undefined ? undefined : new Date(expiresAt)
  if (end !== undefined && !(end.getTime() > Date.now())) {
    throw new ProblemError('invalid-body', `The key would end at ${expiresAt}, which has passed.`)
  }
  return {
    ...{ name, role, tenant, createdBy: principal.subject },
    ...(scopes === undefined ? {} : { scopes }),
    ...(project === undefined ? {} : { project }),
    ...(end === undefined ? {} : { expiresAt: end.toISOString() }),
  }
}

function powersOf(key: Pick<ApiKeyRecord, 'tenant' | 'project' | 'role' | 'scopes' | 'expiresAt'>): Powers {
  return { ...key, scopes: scopesOfKey(key) }
}

/** @throws ProblemError `key-is-configured` */
function assertNotConfigured({ id, configured }: ApiKeyRecord): void {
  if (configured !== true) return
  throw new ProblemError(
    'key-is-configured',
    `The API key ${id} is that of BOOTSTRAP_API_KEY: give that another value, and start the service again.`,
  )
}
