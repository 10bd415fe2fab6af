import { Secret, SecretList, SecretName, SecretValue } from '@edgesmith/contract/secret'
import { getSecret, listSecrets, putSecret, removeSecret } from '@edgesmith/secrets/secret-store'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { inProject, type GatewayContext } from '../context.ts'
import { vaultOf } from '../vault.ts'

const Params = Type.Object({ name: SecretName })
const json = (schema: object, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

/** The routes of `/v1/secrets`: what they hold goes in, and never out. */
export function secretRoutes(app: App, context: GatewayContext): void {
  app.put(
    '/v1/secrets/:name',
    {
      config: { scope: 'secrets:write' },
      schema: {
        operationId: 'putSecret',
        tags: ['secrets'],
        summary: 'Set a secret',
        description:
          'Sets a secret of the project, in place of any of that name before. What it holds is sealed where it is stored, handed to builds that name it, and never answered.',
        params: Params,
        body: SecretValue,
        response: {
          200: json(Secret, 'The secret was there, and is replaced.'),
          201: {
            ...json(Secret, 'The secret is new.'),
            headers: { Location: { type: 'string', format: 'uri-reference', description: 'The secret.' } },
          },
          ...problemResponses(
            'malformed-request',
            'invalid-parameter',
            'invalid-body',
            'secrets-unavailable',
          ),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const { secret, created } = await putSecret(
        vaultOf(inProject(context, request.principal)),
        name,
        request.body,
        new Date(),
      )
      if (!created) return secret
      return reply.code(201).header('location', `/v1/secrets/${name}`).send(secret)
    },
  )

  app.get(
    '/v1/secrets',
    {
      config: { scope: 'secrets:read' },
      schema: {
        operationId: 'listSecrets',
        tags: ['secrets'],
        summary: 'List the secrets of the project',
        description: 'By name, without what they hold.',
        response: { 200: json(SecretList, 'The secrets.'), ...problemResponses('secret-damaged') },
      },
    },
    async (request) => ({ items: await listSecrets(vaultOf(inProject(context, request.principal))) }),
  )

  app.get(
    '/v1/secrets/:name',
    {
      config: { scope: 'secrets:read' },
      schema: {
        operationId: 'getSecret',
        tags: ['secrets'],
        summary: 'Tell about a secret',
        description: 'Everything but what it holds.',
        params: Params,
        response: {
          200: json(Secret, 'The secret.'),
          ...problemResponses('invalid-parameter', 'secret-not-found', 'secret-damaged'),
        },
      },
    },
    (request) => getSecret(vaultOf(inProject(context, request.principal)), request.params.name),
  )

  app.delete(
    '/v1/secrets/:name',
    {
      config: { scope: 'secrets:write' },
      schema: {
        operationId: 'deleteSecret',
        tags: ['secrets'],
        summary: 'Delete a secret',
        description: 'Builds that name it and have not run yet fail.',
        params: Params,
        response: {
          204: { description: 'The secret is gone.', type: 'null' },
          ...problemResponses('invalid-parameter', 'secret-not-found'),
        },
      },
    },
    async (request, reply) => {
      await removeSecret(vaultOf(inProject(context, request.principal)), request.params.name)
      return reply.code(204).send(null)
    },
  )
}
