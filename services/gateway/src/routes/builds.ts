import { ArtifactList, BuildAnswer, BuildPage, ListBuildsQuery } from '@edgesmith/contract/build'
import { BuildId } from '@edgesmith/contract/identifiers'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import { acceptRetry } from '@edgesmith/builds/accepted-build'
import { retryBuild } from '@edgesmith/builds/build-state'
import { requestCancel } from '@edgesmith/builds/cancellation'
import { deleteBuild } from '@edgesmith/retention/delete-build'
import { admitBuilds } from '../admission.ts'
import { inProject, type GatewayContext } from '../context.ts'
import { provideUserData } from '../fleet-retry.ts'
import { readSubmission } from '../intake.ts'
import { submissionBody, withoutBodyValidation } from '../submission-form.ts'
import { submitBuild } from '../submit.ts'

const Params = Type.Object({ id: BuildId })
const asJson = (schema: object, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

/** The routes of `/v1/builds`, but for events and logs. */
export function buildRoutes(app: App, context: GatewayContext): void {
  app.post(
    '/v1/builds',
    {
      validatorCompiler: withoutBodyValidation,
      config: { scope: 'builds:write' },
      schema: {
        operationId: 'createBuild',
        tags: ['builds'],
        summary: 'Ask for a build',
        description:
          'Checks the build spec and its inputs and queues the build; where the ISO can be made from what earlier builds left, the build has succeeded already when this answers. The body is the spec as JSON or YAML, referring to uploads, or a form with a part `spec` and the files as parts named by role, in any order. The answer to a request that is repeated with the same `Idempotency-Key` is the build of the first.',
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
        body: submissionBody,
        response: {
          202: {
            ...asJson(BuildAnswer, 'The build is queued, or has succeeded already.'),
            headers: {
              Location: { type: 'string', format: 'uri-reference', description: 'The build.' },
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
      await using submission = await readSubmission(request, { store, limits: uploadLimits })
      const { build, replayed } = await submitBuild(own, submission, request.headers['idempotency-key'])
      reply.code(202).header('location', `/v1/builds/${build.id}`)
      if (replayed) reply.header('idempotent-replayed', 'true')
      return build
    },
  )

  app.get(
    '/v1/builds',
    {
      config: { scope: 'builds:read' },
      schema: {
        operationId: 'listBuilds',
        tags: ['builds'],
        summary: 'List builds, newest first',
        querystring: ListBuildsQuery,
        response: { 200: asJson(BuildPage, 'A page of builds.'), ...problemResponses('invalid-parameter') },
      },
    },
    (request) => inProject(context, request.principal).repository.list(request.query),
  )

  app.get(
    '/v1/builds/:id',
    {
      config: { scope: 'builds:read' },
      schema: {
        operationId: 'getBuild',
        tags: ['builds'],
        summary: 'Tell about a build',
        params: Params,
        response: {
          200: asJson(BuildAnswer, 'The build.'),
          ...problemResponses('invalid-parameter', 'build-not-found'),
        },
      },
    },
    (request) => inProject(context, request.principal).repository.get(request.params.id),
  )

  app.post(
    '/v1/builds/:id/cancel',
    {
      config: { scope: 'builds:write' },
      schema: {
        operationId: 'cancelBuild',
        tags: ['builds'],
        summary: 'Cancel a build',
        description:
          'A queued build is canceled at once. A running one is stopped and becomes `canceled` when its containers are gone.',
        params: Params,
        response: {
          202: asJson(BuildAnswer, 'The build is, or is about to be, canceled.'),
          ...problemResponses('invalid-parameter', 'build-not-found', 'state-conflict'),
        },
      },
    },
    async (request, reply) => {
      const parts = { ...inProject(context, request.principal), stores: context.stores }
      const build = await requestCancel(parts, request.params.id, new Date())
      if (build.state === 'canceled') await context.queue.withdraw(build)
      return reply.code(202).send(build)
    },
  )

  app.post(
    '/v1/builds/:id/retry',
    {
      config: { scope: 'builds:write' },
      schema: {
        operationId: 'retryBuild',
        tags: ['builds'],
        summary: 'Run a build again that ended without success',
        params: Params,
        response: {
          202: {
            ...asJson(BuildAnswer, 'The build is queued again.'),
            headers: {
              Location: { type: 'string', format: 'uri-reference', description: 'The build.' },
            },
          },
          ...problemResponses(
            'invalid-parameter',
            'build-not-found',
            'state-conflict',
            'queue-full',
            'quota-exceeded',
          ),
        },
      },
    },
    async (request, reply) => {
      const own = inProject(context, request.principal)
      const again = retryBuild(await own.repository.get(request.params.id))
      await admitBuilds(own, 1)
      await provideUserData(own, again)
      const build = await acceptRetry(own, request.params.id, new Date())
      return reply.code(202).header('location', `/v1/builds/${build.id}`).send(build)
    },
  )

  app.delete(
    '/v1/builds/:id',
    {
      config: { scope: 'builds:write' },
      schema: {
        operationId: 'deleteBuild',
        tags: ['builds'],
        summary: 'Delete an ended build with its artifacts and log',
        params: Params,
        response: {
          204: { description: 'The build is gone.', type: 'null' },
          ...problemResponses('invalid-parameter', 'build-not-found', 'state-conflict'),
        },
      },
    },
    async (request, reply) => {
      await deleteBuild(inProject(context, request.principal), request.params.id)
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/v1/builds/:id/artifacts',
    {
      config: { scope: 'builds:read' },
      schema: {
        operationId: 'listBuildArtifacts',
        tags: ['artifacts'],
        summary: 'List the files a build made',
        params: Params,
        response: {
          200: asJson(ArtifactList, 'The artifacts.'),
          ...problemResponses('invalid-parameter', 'build-not-found'),
        },
      },
    },
    async (request) => {
      const { repository } = inProject(context, request.principal)
      return { items: (await repository.get(request.params.id)).artifacts }
    },
  )
}
