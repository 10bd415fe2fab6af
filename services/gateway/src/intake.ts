import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { FastifyRequest } from 'fastify'
import type { Multipart, MultipartFile } from '@fastify/multipart'
import { inputRoles, repeatableRoles, type InputRole } from '@edgesmith/contract/build-spec'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { fileNamePattern } from '@edgesmith/contract/identifiers'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { UploadLimits } from '@edgesmith/uploads/upload-limits'
import { discardUpload, stageUpload } from '@edgesmith/uploads/uploads'
import { discardBody } from './discard-body.ts'
import { checkSpec, parseSpec, specLimitBytes } from './spec-document.ts'
import { Submission, type StagedFile } from './submission.ts'

/** Roles whose file name ends up in the build; the others have a fixed name there. */
const namedRoles: readonly string[] = ['contentBundle', 'clusterDefinition', 'cert']

type IntakeOptions = { readonly store: ObjectStore; readonly limits: UploadLimits }

/** The parts that a form has. */
export type FormParts = {
  /** Parts that are read as a whole, and how many bytes each may have; `spec` has to be there. */
  readonly texts: Readonly<Record<string, number>>
  /** Names of parts that are files of a build. */
  readonly roles: readonly string[]
}

const submissionParts: FormParts = { texts: { spec: specLimitBytes }, roles: inputRoles }

/**
 * Reads the build spec and the files of a request: a JSON or YAML body, or `multipart/form-data`
 * with a part `spec` and file parts named by role, in any order. Files go to the store as they arrive.
 * @throws ProblemError with every fault of the parts; nothing is left in the store then.
 */
export async function readSubmission(request: FastifyRequest, options: IntakeOptions): Promise<Submission> {
  if (!request.isMultipart()) {
    const spec = typeof request.body === 'string' ? parseSpec(request.body) : request.body
    return new Submission(options.store, checkSpec(spec), [])
  }
  // What has come so far is worth to wait for the store.
  const store = options.store.patient()
  const form = await readForm(request, { ...options, store }, submissionParts)
  return form.use(({ texts, files }) => {
    const spec = checkSpec(parseSpec(texts.get('spec')?.toString('utf8') ?? ''))
    return new Submission(store, spec, files)
  })
}

type FormContent = { readonly texts: ReadonlyMap<string, Buffer>; readonly files: readonly StagedFile[] }

/** A form that was read. Its files are stored, and belong to the request alone. */
export type Form = {
  /** Makes something of the form that answers for its files. When that fails they are removed. */
  use<Result>(make: (content: FormContent) => Result | Promise<Result>): Promise<Result>
}

/**
 * Reads a form whose files go to the store as they arrive.
 * @throws ProblemError with every fault of the parts; nothing is left in the store then.
 */
export async function readForm(
  request: FastifyRequest,
  options: IntakeOptions,
  parts: FormParts,
): Promise<Form> {
  const files: StagedFile[] = []
  const discardOnFailure = async <Result>(work: () => Result | Promise<Result>): Promise<Result> => {
    try {
      return await work()
    } catch (error) {
      discardBody(request)
      for (const file of files) await discardUpload(options.store, file.staged)
      throw error
    }
  }
  const texts = await discardOnFailure(() => readParts(request, options, parts, files))
  return { use: (make) => discardOnFailure(() => make({ texts, files })) }
}

async function readParts(
  request: FastifyRequest,
  options: IntakeOptions,
  parts: FormParts,
  files: StagedFile[],
): Promise<ReadonlyMap<string, Buffer>> {
  const faults: Diagnostic[] = []
  const texts = new Map<string, Buffer>()
  for await (const part of request.parts()) {
    const name = part.fieldname
    const limit = Object.hasOwn(parts.texts, name) ? parts.texts[name] : undefined
    if (limit !== undefined) {
      if (texts.has(name))
        faults.push(
          partFault('multipart.repeated-part', `The part "${name}" is there more than once. Send one.`),
        )
      texts.set(name, await readText(part, limit))
      continue
    }
    const fault = roleFault(part, parts, files)
    if (fault !== undefined) {
      faults.push(fault)
      if (part.type === 'file') part.file.resume()
      continue
    }
    try {
      const { bytes, ...staged } = await stageUpload(options.store, contentOf(part), options.limits)
      const fileName = part.type === 'file' && fileNamePattern.test(part.filename) ? part.filename : undefined
      const role = name as InputRole
      files.push({ role, staged, fileName, ...(role === 'userData' ? { bytes } : {}) })
    } catch (error) {
      const fault = contentFault(error, part)
      if (fault === undefined) throw error
      faults.push(fault)
      if (part.type === 'file') part.file.resume()
    }
  }
  if (!texts.has('spec'))
    faults.push(
      partFault(
        'multipart.missing-part',
        'The part "spec" is missing: what to build, JSON or YAML.',
        '/spec',
      ),
    )
  if (faults.length > 0) throw new ProblemError('invalid-body', 'The form has faults.', { errors: faults })
  return texts
}

/** What is wrong with the content of a part, where the other parts can still be read. */
function contentFault(error: unknown, part: Multipart): Diagnostic | undefined {
  const name = part.fieldname
  if (!(error instanceof ProblemError)) return undefined
  if (error.code === 'empty-file') {
    return partFault('input.empty-file', `The part "${name}" has no content.`, `/${name}`)
  }
  const [found] = error.errors
  if (error.code !== 'corrupt-file' || found === undefined) return undefined
  const fileName = part.type === 'file' ? { fileName: part.filename } : {}
  return { ...found, source: 'spec', pointer: `/${name}`, ...fileName }
}

function partFault(code: string, message: string, pointer?: string): Diagnostic {
  return { severity: 'error', code, message, source: 'spec', ...(pointer === undefined ? {} : { pointer }) }
}

function roleFault(
  part: Multipart,
  { texts, roles }: FormParts,
  files: readonly StagedFile[],
): Diagnostic | undefined {
  const name = part.fieldname
  const pointer = `/${name.slice(0, 64).replaceAll('~', '~0').replaceAll('/', '~1')}`
  if (!roles.includes(name)) {
    return partFault(
      'multipart.unknown-part',
      `${JSON.stringify(name.slice(0, 64))} is not a part of this form. The parts are ${[...Object.keys(texts), ...roles].join(', ')}.`,
      pointer,
    )
  }
  if (!(name in repeatableRoles) && files.some((file) => file.role === name)) {
    return partFault(
      'multipart.repeated-part',
      `The part "${name}" is there more than once. Send one.`,
      pointer,
    )
  }
  if (namedRoles.includes(name) && (part.type !== 'file' || !fileNamePattern.test(part.filename))) {
    const given = part.type === 'file' ? JSON.stringify(part.filename.slice(0, 200)) : 'absent'
    return partFault(
      'input.file-name',
      `The part "${name}" needs a plain file name: letters, digits, ".", "_", "+" and "-", not starting with "." or "-". It is ${given}.`,
      pointer,
    )
  }
  return undefined
}

function contentOf(part: Multipart): Readable {
  return part.type === 'file' ? part.file : Readable.from([Buffer.from(String(part.value))])
}

async function readText(part: Multipart, limit: number): Promise<Buffer> {
  if (part.type === 'file') return buffer(limited(part, limit))
  const text = Buffer.from(String(part.value))
  if (part.valueTruncated || text.length > limit) throw tooLarge(part, limit)
  return text
}

async function* limited(part: MultipartFile, limit: number): AsyncGenerator<Buffer> {
  let size = 0
  for await (const chunk of part.file as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limit) throw tooLarge(part, limit)
    yield chunk
  }
}

function tooLarge({ fieldname }: Multipart, limit: number): ProblemError {
  return new ProblemError('content-too-large', `The part "${fieldname}" is larger than ${limit} bytes.`)
}
