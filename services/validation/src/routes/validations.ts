import { ValidationRequest, ValidationResult } from '@edgesmith/contract/validation'
import type { App } from '@edgesmith/service/app'
import type { ValidationContext } from '../context.ts'
import { validateSubmission } from '../validate-submission.ts'

/** `POST /internal/validations`: for the gateway. */
export function validationRoutes(app: App, context: ValidationContext): void {
  app.post(
    '/internal/validations',
    { schema: { hide: true, body: ValidationRequest, response: { 200: ValidationResult } } },
    (request) => validateSubmission(context, request.body),
  )
}
