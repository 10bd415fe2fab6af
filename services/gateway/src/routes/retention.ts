import { RetentionPolicies, RetentionReport, RetentionRunRequest } from '@edgesmith/contract/retention'
import { projectOf } from '@edgesmith/contract/project'
import { readPolicies, writePolicies } from '@edgesmith/retention/policy-store'
import { runRetention } from '@edgesmith/retention/run-retention'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { inProject, type GatewayContext } from '../context.ts'

/** How long a run that a client asked for may take, in milliseconds; the next one goes on. */
const runLimitMs = 60_000

const json = (schema: object, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})
const withEtag = {
  ...json(RetentionPolicies, 'The policies.'),
  headers: { ETag: { type: 'string', description: 'Names this version of the policies; for `If-Match`.' } },
}

/** The routes of `/v1/retention`. */
export function retentionRoutes(app: App, context: GatewayContext): void {
  app.get(
    '/v1/retention/policies',
    {
      config: { scope: 'retention:read' },
      schema: {
        operationId: 'getRetentionPolicies',
        tags: ['retention'],
        summary: 'Tell which builds are deleted, and when',
        response: { 200: withEtag, ...problemResponses() },
      },
    },
    async (request, reply) => {
      const { store } = inProject(context, request.principal)
      const { policies, etag } = await readPolicies(store)
      return reply.header('etag', etag).send(policies)
    },
  )

  app.put(
    '/v1/retention/policies',
    {
      config: { scope: 'retention:write' },
      schema: {
        operationId: 'putRetentionPolicies',
        tags: ['retention'],
        summary: 'Replace the policies',
        description:
          'Replaces all policies. `If-Match` is the `ETag` that they were read with, so that of two changes at the same time none is lost.',
        headers: Type.Object({
          'if-match': Type.String({
            description: '`ETag` of the policies that are replaced.',
            examples: ['"3"'],
          }),
        }),
        body: RetentionPolicies,
        response: {
          200: withEtag,
          ...problemResponses('malformed-request', 'invalid-parameter', 'invalid-body', 'policies-changed'),
        },
      },
    },
    async (request, reply) => {
      const { store } = inProject(context, request.principal)
      const { policies, etag } = await writePolicies(store, request.body, request.headers['if-match'])
      return reply.header('etag', etag).send(policies)
    },
  )

  app.post(
    '/v1/retention/runs',
    {
      config: { scope: 'retention:write' },
      schema: {
        operationId: 'runRetention',
        tags: ['retention'],
        summary: 'Remove what is no longer kept, or tell what would be',
        description:
          'Deletes the builds that the policies say, and removes bases, uploads and left objects that nothing refers to. With `dryRun` nothing is changed. A run ends after a minute at the latest; `complete` tells whether it was through. The service runs by itself from time to time as well (`RETENTION_INTERVAL_SECONDS`).',
        body: RetentionRunRequest,
        response: {
          200: json(RetentionReport, 'What was removed, or would be.'),
          ...problemResponses('malformed-request', 'invalid-body', 'retention-running', 'retention-refused'),
        },
      },
    },
    (request) =>
      runRetention(
        { ...context, settings: context.config.retention },
        {
          project: projectOf(request.principal),
          dryRun: request.body.dryRun,
          signal: AbortSignal.timeout(runLimitMs),
        },
      ),
  )
}
