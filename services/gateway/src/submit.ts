import { allOrFirstFault } from '@edgesmith/bases/all-or-first-fault'
import { acceptBuild, resumeBuild } from '@edgesmith/builds/accepted-build'
import { archiveKey } from '@edgesmith/builds/build-archive'
import { createBuild } from '@edgesmith/builds/build-state'
import type { Reservation } from '@edgesmith/builds/idempotency'
import type { Build } from '@edgesmith/contract/build'
import { hasErrors } from '@edgesmith/contract/diagnostic'
import { ProblemError } from '@edgesmith/contract/problem'
import { projectOf } from '@edgesmith/contract/project'
import type { ValidationResult } from '@edgesmith/contract/validation'
import { checkBuildSecrets } from '@edgesmith/secrets/build-secrets'
import { maskedArguments, sealArguments, withoutPasswords } from '@edgesmith/secrets/sealed-arguments'
import { admitBuilds } from './admission.ts'
import { answerAtOnce, findReadyBase, resumeAnswered } from './answer-at-once.ts'
import type { ProjectContext } from './context.ts'
import { onceForKey } from './once-for-key.ts'
import type { Submission } from './submission.ts'
import { vaultOf } from './vault.ts'

/** Diagnoses a submission: what its uploads and the validation service say. */
export async function diagnose(context: ProjectContext, submission: Submission): Promise<ValidationResult> {
  const { result } = await judge(context, submission)
  return { ...result, arguments: maskedArguments(result.arguments) }
}

async function judge(context: ProjectContext, submission: Submission) {
  const { validation, principal } = context
  const { inputs, diagnostics } = await submission.resolveInputs()
  const userData = submission.userData?.toString('base64')
  const { spec } = submission
  const secretFaults = await checkBuildSecrets(vaultOf(context), spec.secrets)
  const result = await validation.validate({
    project: projectOf(principal),
    spec,
    inputs,
    ...(userData === undefined ? {} : { userData }),
  })
  const all = [...diagnostics, ...secretFaults, ...result.diagnostics]
  return { inputs, result: { ...result, diagnostics: all, valid: !hasErrors(all) } }
}

/**
 * Turns a submission into a build: one that has succeeded where its ISO can be had from what is stored, and
 * a queued one otherwise. The files are kept and the record written before the build is queued, so that what
 * is answered is never lost.
 * @throws ProblemError `invalid-input` with every diagnostic, `idempotency-key-reused`, `idempotency-key-in-use`.
 */
export async function submitBuild(
  context: ProjectContext,
  submission: Submission,
  idempotencyKey: string | undefined,
): Promise<{ build: Build; replayed: boolean }> {
  const isStored = async (key: string) => (await context.store.stat(key)) !== undefined
  const { made, replayed } = await onceForKey(context, {
    project: context.principal,
    scope: 'builds',
    key: idempotencyKey,
    says: submission.spec,
    make: (id, reservation) => makeBuild(context, submission, id, reservation),
    find: (id) => context.repository.get(id),
    resume: async (first) => (await resumeAnswered(context, first)) ?? (await resumeBuild(context, first)),
    isAccepted: async (id) =>
      (await isStored(archiveKey.accepted(id))) || (await isStored(archiveKey.whole(id))),
  })
  return { build: made, replayed }
}

async function makeBuild(
  context: ProjectContext,
  submission: Submission,
  id: string,
  reservation: Reservation | undefined,
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
  const { spec, userData } = submission
  const now = new Date()
  const build = createBuild(
    {
      id,
      ...projectOf(context.principal),
      target,
      canvos,
      spec: {
        ...withoutPasswords(spec),
        timeoutSeconds: spec.timeoutSeconds ?? context.config.buildTimeoutSeconds,
      },
      ...sealArguments(vaultOf(context), buildArguments),
      labels: spec.labels ?? {},
      diagnostics,
    },
    now,
  )
  const [isMoved, ready] = await allOrFirstFault([
    submission.commit(),
    findReadyBase(context, build, judged.inputs),
  ])
  if (ready !== undefined) {
    const { inputs } = isMoved ? await submission.resolveInputs() : judged
    const request = { ...ready, queued: build, inputs, userData, at: now, reservation }
    const answered = await answerAtOnce(context, request)
    if (answered !== undefined) return answered
  }
  await admitBuilds(context, 1)
  await acceptBuild(context, build, now, reservation)
  return build
}
