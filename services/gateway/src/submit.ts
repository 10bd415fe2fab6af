import { createHash } from 'node:crypto'
import { canonicalJson } from '@edgesmith/bases/canonical-json'
import { createBuild } from '@edgesmith/builds/build-state'
import { releaseKey, reserveKey, type Reservation } from '@edgesmith/builds/idempotency'
import type { Build } from '@edgesmith/contract/build'
import { hasErrors } from '@edgesmith/contract/diagnostic'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ValidationResult } from '@edgesmith/contract/validation'
import { v7 as uuidV7 } from 'uuid'
import { answerAtOnce } from './answer-at-once.ts'
import type { GatewayContext } from './context.ts'
import type { Submission } from './submission.ts'

/** Diagnoses a submission: what its uploads and the validation service say. */
export async function diagnose(context: GatewayContext, submission: Submission): Promise<ValidationResult> {
  return (await judge(context, submission)).result
}

async function judge({ validation }: GatewayContext, submission: Submission) {
  const { inputs, diagnostics } = await submission.resolveInputs()
  const result = await validation.validate({ spec: submission.spec, inputs })
  const all = [...diagnostics, ...result.diagnostics]
  return { inputs, result: { ...result, diagnostics: all, valid: !hasErrors(all) } }
}

/**
 * Turns a submission into a build: one that has succeeded where its ISO can be had from what is stored, and
 * a queued one otherwise. The files are kept and the record written before the build is queued, so that what
 * is answered is never lost.
 * @throws ProblemError `invalid-input` with every diagnostic, `idempotency-key-reused`, `idempotency-key-in-use`.
 */
export async function submitBuild(
  context: GatewayContext,
  submission: Submission,
  idempotencyKey: string | undefined,
): Promise<{ build: Build; replayed: boolean }> {
  if (idempotencyKey === undefined) return { build: await makeBuild(context, submission), replayed: false }

  const buildId = uuidV7()
  const reserved = await reserveKey(context.redis, {
    scope: 'builds',
    key: idempotencyKey,
    fingerprint: fingerprint(submission),
    buildId,
  })
  switch (reserved.outcome) {
    case 'replay':
      return { build: await context.repository.get(reserved.buildId), replayed: true }
    case 'mismatch':
      throw new ProblemError(
        'idempotency-key-reused',
        'This Idempotency-Key was sent before with another request. Use a new key for a new build.',
      )
    case 'in-progress':
      throw new ProblemError(
        'idempotency-key-in-use',
        'The first request with this Idempotency-Key is still under way. Repeat the request shortly.',
        { headers: { 'retry-after': '1' } },
      )
    case 'new':
      break
  }
  try {
    return { build: await makeBuild(context, submission, reserved.reservation), replayed: false }
  } catch (error) {
    await releaseKey(context.redis, reserved.reservation)
    throw error
  }
}

function fingerprint({ spec }: Submission): string {
  return createHash('sha256').update(canonicalJson(spec)).digest('hex')
}

export async function makeBuild(
  context: GatewayContext,
  submission: Submission,
  reservation?: Reservation,
): Promise<Build> {
  const judged = await judge(context, submission)
  const { diagnostics, canvos, target, arguments: buildArguments } = judged.result
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error')
  if (errors.length > 0 || canvos === undefined) {
    const codes = [...new Set(errors.map((error) => error.code))].join(', ')
    throw new ProblemError(
      'invalid-input',
      `${errors.length} ${errors.length === 1 ? 'error' : 'errors'}: ${codes}`,
      { errors: diagnostics },
    )
  }
  const isMoved = await submission.commit()
  const { spec } = submission
  const now = new Date()
  const build = createBuild(
    {
      ...(reservation === undefined ? {} : { id: reservation.buildId }),
      target,
      canvos,
      spec: { ...spec, timeoutSeconds: spec.timeoutSeconds ?? context.config.buildTimeoutSeconds },
      arguments: buildArguments,
      labels: spec.labels ?? {},
      diagnostics,
    },
    now,
  )
  const { inputs } = isMoved ? await submission.resolveInputs() : judged
  const answered = await answerAtOnce(context, build, inputs, now, reservation)
  if (answered !== undefined) return answered
  await context.repository.create(build, now, reservation)
  await context.queue.enqueue(build)
  return build
}
