import { ValidationResult } from '@edgesmith/contract/validation'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { inProject, type GatewayContext } from '../context.ts'
import { readSubmission } from '../intake.ts'
import { submissionBody, withoutBodyValidation } from '../submission-form.ts'
import { diagnose } from '../submit.ts'

/** `POST /v1/validations`. */
export function validationRoutes(app: App, context: GatewayContext): void {
  app.post(
    '/v1/validations',
    {
      validatorCompiler: withoutBodyValidation,
      config: { scope: 'validations:write' },
      schema: {
        operationId: 'createValidation',
        tags: ['validations'],
        summary: 'Check inputs without building',
        description: 'Takes what `POST /v1/builds` takes and answers every diagnostic. Nothing is kept.',
        body: submissionBody,
        response: {
          200: {
            description: 'The diagnostics.',
            content: { 'application/json': { schema: ValidationResult } },
          },
          ...problemResponses(
            'malformed-request',
            'content-too-large',
            'unsupported-media-type',
            'invalid-body',
            'too-many-uploads',
            'quota-exceeded',
          ),
        },
      },
    },
    async (request) => {
      const own = inProject(context, request.principal)
      const { store, uploadLimits } = own
      await using submission = await readSubmission(request, { store, limits: uploadLimits })
      return await diagnose(own, submission)
    },
  )
}
