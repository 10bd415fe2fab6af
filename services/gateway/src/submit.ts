import { createHash } from 'node:crypto'
import { removeArtifact } from '@edgesmith/artifacts/artifacts'
import { removeArchive } from '@edgesmith/builds/build-archive'
import { createBuild } from '@edgesmith/builds/build-state'
import { releaseKey, reserveKey, type Reservation } from '@edgesmith/builds/idempotency'
import type { Build } from '@edgesmith/contract/build'
import { hasErrors } from '@edgesmith/contract/diagnostic'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ValidationResult } from '@edgesmith/contract/validation'
import { v7 as uuidV7 } from 'uuid'
import type { GatewayContext } from './context.ts'
import type { Submission } from './submission.ts'

/** Diagnoses a submission: what its uploads and the validation service say. */
export async function diagnose(
  { validation }: GatewayContext,
  submission: Submission,
): Promise<ValidationResult> {
  const { inputs, diagnostics } = await submission.resolveInputs()
  const result = await validation.validate({ spec: submission.spec, inputs })
  const all = [...diagnostics, ...result.diagnostics]
  return { ...result, diagnostics: all, valid: !hasErrors(all) }
}

/**
 * Turns a submission into a queued build. The files are kept and the record written before the
 * build is queued, so that what is answered is never lost.
 * @throws ProblemError `invalid-input` with every diagnostic, `idempotency-key-reused`, `idempotency-key-in-use`.
 */
export async function submitBuild(
  context: GatewayContext,
  submission: Submission,
  idempotencyKey: string | undefined,
): Promise<{ build: Build; replayed: boolean }> {
  if (idempotencyKey === undefined) return { build: await queueBuild(context, submission), replayed: false }

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
    return { build: await queueBuild(context, submission, reserved.reservation), replayed: false }
  } catch (error) {
    await releaseKey(context.redis, reserved.reservation)
    throw error
  }
}

function fingerprint({ spec }: Submission): string {
  return createHash('sha256').update(canonicalJson(spec)).digest('hex')
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  )
}

async function queueBuild(
  context: GatewayContext,
  submission: Submission,
  reservation?: Reservation,
): Promise<Build> {
  const { diagnostics, canvos, target, arguments: buildArguments } = await diagnose(context, submission)
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error')
  if (errors.length > 0 || canvos === undefined) {
    const codes = [...new Set(errors.map((error) => error.code))].join(', ')
    throw new ProblemError(
      'invalid-input',
      `${errors.length} ${errors.length === 1 ? 'error' : 'errors'}: ${codes}`,
      { errors: diagnostics },
    )
  }
  await submission.commit()
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
  await context.repository.create(build, now, reservation)
  await context.queue.enqueue(build)
  return build
}

/** Deletes an ended build: its record and events, then its archive and artifacts. @throws ProblemError `state-conflict`. */
export async function deleteBuild({ repository, store }: GatewayContext, id: string): Promise<void> {
  const build = await repository.remove(id)
  for (const artifact of build.artifacts) await removeArtifact(store, artifact.id)
  await removeArchive(store, id)
}
