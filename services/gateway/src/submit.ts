import { createHash } from 'node:crypto'
import { removeArtifact } from '@edgesmith/artifacts/artifacts'
import { newBuildId } from '@edgesmith/builds/build-repository'
import type { Build } from '@edgesmith/contract/build'
import { hasErrors } from '@edgesmith/contract/diagnostic'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ValidationResult } from '@edgesmith/contract/validation'
import type { GatewayContext } from './context.ts'
import type { Submission } from './submission.ts'

/** Diagnoses a submission: what its uploads and the validation service say. */
export async function diagnose({ validation }: GatewayContext, submission: Submission): Promise<ValidationResult> {
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
  const id = newBuildId()
  if (idempotencyKey === undefined) return { build: await createBuild(context, submission, id), replayed: false }

  const reservation = await context.idempotency.reserve(idempotencyKey, fingerprint(submission), id)
  switch (reservation.outcome) {
    case 'replay':
      return { build: await context.builds.get(reservation.buildId), replayed: true }
    case 'mismatch':
      throw new ProblemError('idempotency-key-reused', 'This Idempotency-Key was sent before with another request. Use a new key for a new build.')
    case 'in-progress':
      throw new ProblemError('idempotency-key-in-use', 'The first request with this Idempotency-Key is still under way. Repeat the request shortly.', {
        headers: { 'retry-after': '1' },
      })
    case 'new':
      break
  }
  try {
    const build = await createBuild(context, submission, id)
    await context.idempotency.complete(idempotencyKey, id)
    return { build, replayed: false }
  } catch (error) {
    await context.idempotency.release(idempotencyKey, id)
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

async function createBuild(context: GatewayContext, submission: Submission, id: string): Promise<Build> {
  const result = await diagnose(context, submission)
  const errors = result.diagnostics.filter((diagnostic) => diagnostic.severity === 'error')
  if (errors.length > 0 || result.canvos === undefined) {
    const codes = [...new Set(errors.map((error) => error.code))].join(', ')
    throw new ProblemError('invalid-input', `${errors.length} ${errors.length === 1 ? 'error' : 'errors'}: ${codes}`, {
      errors: result.diagnostics,
    })
  }
  await submission.commit()
  const { spec } = submission
  const build: Build = {
    id,
    state: 'queued',
    target: result.target,
    canvos: result.canvos,
    spec: { ...spec, timeoutSeconds: spec.timeoutSeconds ?? context.config.buildTimeoutSeconds },
    arguments: result.arguments,
    labels: spec.labels ?? {},
    attempt: 1,
    createdAt: new Date().toISOString(),
    artifacts: [],
    diagnostics: result.diagnostics,
  }
  await context.builds.create(build)
  await context.queue.enqueue(build)
  return build
}

/** Deletes an ended build: its record, events and log, then its artifacts. @throws ProblemError `state-conflict`. */
export async function deleteBuild({ builds, store }: GatewayContext, id: string): Promise<void> {
  const build = await builds.remove(id)
  for (const artifact of build.artifacts) await removeArtifact(store, artifact.id)
  for (const name of ['log.txt', 'events.ndjson', 'build.json']) await store.remove(`builds/${id}/${name}`)
}
