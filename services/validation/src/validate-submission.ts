import { parseArgFile } from '@edgesmith/canvos/arg-file'
import { validateArguments } from '@edgesmith/canvos/arguments'
import { readEarthfile, type DeclaredArgument, type Earthfile } from '@edgesmith/canvos/earthfile'
import { readKubernetesVersions } from '@edgesmith/canvos/kubernetes-versions'
import type { Mirror, ResolvedTag } from '@edgesmith/canvos/mirror'
import { layoutInputs } from '@edgesmith/canvos/workspace'
import { earthlyTarget, type BuildSpec } from '@edgesmith/contract/build-spec'
import { hasErrors, type Diagnostic } from '@edgesmith/contract/diagnostic'
import type { StoredInput, ValidationRequest, ValidationResult } from '@edgesmith/contract/validation'
import { earthlySecrets } from '@edgesmith/contract/secret'
import { secretsOfArgument } from '@edgesmith/redaction/masked-argument'
import { Redactor } from '@edgesmith/redaction/redactor'
import { checkOverlayImages } from '@edgesmith/inputs/overlay-images'
import { judgeImages } from '@edgesmith/canvos/image-rules'
import { withMembers } from '@edgesmith/inputs/archive-members'
import { checkInputs } from '@edgesmith/inputs/check-inputs'
import { readSmallFile } from '@edgesmith/inputs/stored-file'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { validateUserData } from '@edgesmith/user-data/validate'
import type { ValidationContext } from './context.ts'

/**
 * Judges a build spec and its inputs against the CanvOS tag it asks for, and works out the arguments
 * that the build will get. Every diagnostic is answered, not only the first.
 * @throws ProblemError `upstream-unavailable` when there is no CanvOS to judge by.
 */
export async function validateSubmission(
  context: ValidationContext,
  { project, spec, inputs, userData }: ValidationRequest,
): Promise<ValidationResult> {
  const store = context.stores.of(project)
  const target = spec.target ?? 'iso'
  const { canvos, diagnostics } = await resolveRelease(context, spec)
  const argFile = await readArgFile(store, inputs)
  diagnostics.push(...argFile.diagnostics)

  const described = await withMembers(store, inputs)
  const earthfile = canvos === undefined ? undefined : await readEarthfile(context.canvos, canvos.tag)
  let buildArguments: Record<string, string> = {}
  if (canvos !== undefined && earthfile !== undefined) {
    const { declared } = earthfile
    const given = [...argFile.entries.map((entry) => entry.key), ...Object.keys(spec.arguments ?? {})]
    const defaults = defaultArguments(context, declared, given)
    const validated = validateArguments({
      tag: canvos.tag,
      target,
      argFile,
      arguments: { ...defaults, ...spec.arguments },
      declared,
      kubernetesVersions: await readKubernetesVersions(context.canvos, canvos.tag),
      inputs,
      secrets: Object.keys(earthlySecrets(spec.secrets)),
    })
    const layout = layoutInputs({
      tag: canvos.tag,
      inputs: described.files.filter((input) => input.role !== 'argFile'),
      arguments: validated.arguments,
    })
    buildArguments = layout.arguments
    const owned = new Set(Object.keys(spec.arguments ?? {}))
    const fromFile = argFile.entries.filter(({ key }) => !owned.has(key))
    diagnostics.push(
      ...judgeImages({
        earthfile,
        given: [
          ...fromFile.map(({ key, value }) => ({ name: key, value, source: 'argFile' as const })),
          ...Object.entries(spec.arguments ?? {}).map(
            ([name, value]) => ({ name, value: String(value), source: 'arguments' }) as const,
          ),
        ],
        operator: defaults,
        allowed: context.config.allowedImages,
      }),
      ...validated.diagnostics,
      ...layout.diagnostics,
      ...targetFaults(earthfile, canvos, target),
    )
  }
  const checked = await checkInputs(store, described.files, new Date())
  diagnostics.push(
    ...described.diagnostics,
    ...(await overlayFaults(context, store, described.files)),
    ...checked.diagnostics,
    ...(await userDataFaults(store, { inputs, userData }, buildArguments)),
  )
  const given = [
    ...argFile.entries.map(({ key, value }) => [key, value] as const),
    ...Object.entries({ ...spec.arguments, ...buildArguments }).map(
      ([name, value]) => [name, String(value)] as const,
    ),
  ]
  const redactor = new Redactor(given.flatMap(([name, value]) => [...secretsOfArgument(name, value)]))
  return {
    valid: !hasErrors(diagnostics),
    diagnostics: diagnostics.map((diagnostic) => ({
      ...diagnostic,
      message: redactor.redact(diagnostic.message),
    })),
    ...(canvos === undefined ? {} : { canvos }),
    target,
    arguments: buildArguments,
    ...(checked.clusterDefinition === undefined ? {} : { clusterDefinition: checked.clusterDefinition }),
  }
}

async function overlayFaults(
  { config }: ValidationContext,
  store: ObjectStore,
  files: readonly StoredInput[],
): Promise<Diagnostic[]> {
  const overlays = files.filter(({ role }) => role === 'overlay')
  return (
    await Promise.all(overlays.map((file) => checkOverlayImages(store, file, config.allowedImages)))
  ).flat()
}

/** The operator's arguments that the tag has and the build does not set itself. */
function defaultArguments(
  { defaultArgFile }: ValidationContext,
  declared: readonly DeclaredArgument[],
  given: readonly string[],
): Record<string, string> {
  const names = new Set(declared.map(({ name }) => name))
  const entries = parseArgFile(defaultArgFile ?? '').entries
  return Object.fromEntries(
    entries.filter(({ key }) => names.has(key) && !given.includes(key)).map(({ key, value }) => [key, value]),
  )
}

/** The release that a spec names, or the newest one. */
async function resolveRelease(
  { canvos, config }: ValidationContext,
  spec: BuildSpec,
): Promise<{ canvos: ResolvedTag | undefined; diagnostics: Diagnostic[] }> {
  await canvos.refresh(config.canvos.refreshMs)
  const tag = spec.canvos?.tag ?? (await newestRelease(canvos))?.tag
  const resolved = tag === undefined ? undefined : await canvos.resolveTag(tag)
  if (resolved !== undefined) return { canvos: resolved, diagnostics: [] }
  const newest = await newestRelease(canvos)
  const hint =
    newest === undefined ? 'The repository has no release.' : `The newest release is ${newest.tag}.`
  return {
    canvos: undefined,
    diagnostics: [
      {
        severity: 'error',
        code: 'canvos.unknown-tag',
        message: `CanvOS has no tag ${tag ?? 'to build'}. ${hint} GET /v1/canvos/releases lists all.`,
        source: 'spec',
        pointer: '/canvos/tag',
      },
    ],
  }
}

async function newestRelease(canvos: Mirror): Promise<ResolvedTag | undefined> {
  const releases = await canvos.releases()
  return releases.find((release) => !release.prerelease)
}

async function readArgFile(store: ObjectStore, inputs: readonly StoredInput[]) {
  const input = inputs.find((candidate) => candidate.role === 'argFile')
  if (input === undefined) return { entries: [], unreadable: [], diagnostics: [] }
  const { bytes, diagnostics } = await readSmallFile(store, input)
  if (bytes === undefined) return { entries: [], unreadable: [], diagnostics }
  return parseArgFile(bytes.toString('utf8'))
}

async function userDataFaults(
  store: ObjectStore,
  { inputs, userData }: Pick<ValidationRequest, 'inputs' | 'userData'>,
  buildArguments: Readonly<Record<string, string>>,
): Promise<Diagnostic[]> {
  const input = inputs.find((candidate) => candidate.role === 'userData')
  if (input === undefined) return []
  const { bytes, diagnostics } =
    userData === undefined
      ? await readSmallFile(store, input)
      : { bytes: Buffer.from(userData, 'base64'), diagnostics: [] }
  if (bytes === undefined) return diagnostics
  return validateUserData(bytes, {
    embeddedPublicKey: inputs.some(({ role }) => role === 'edgeCustomConfig' || role === 'publicKey'),
    trustedBoot: buildArguments['IS_UKI'] === 'true',
    twoNode: buildArguments['TWO_NODE'] === 'true',
  })
}

function targetFaults(
  { targets }: Earthfile,
  { tag }: ResolvedTag,
  target: keyof typeof earthlyTarget,
): Diagnostic[] {
  const name = earthlyTarget[target]
  if (targets.has(name.slice(1))) return []
  return [
    {
      severity: 'error',
      code: 'canvos.unknown-target',
      message: `The Earthfile of CanvOS ${tag} has no target ${name}. Build another target or another tag.`,
      source: 'spec',
      pointer: '/target',
    },
  ]
}
