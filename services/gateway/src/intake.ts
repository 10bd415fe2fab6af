import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { FastifyRequest } from 'fastify'
import type { Multipart, MultipartFile } from '@fastify/multipart'
import { repeatableRoles, singleRoles, type InputRole } from '@edgesmith/contract/build-spec'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import { fileNamePattern } from '@edgesmith/contract/identifiers'
import { ProblemError } from '@edgesmith/contract/problem'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { UploadLimits } from '@edgesmith/uploads/upload-limits'
import { discardUpload, stageUpload } from '@edgesmith/uploads/uploads'
import { checkSpec, parseSpec, specLimitBytes } from './spec-document.ts'
import { Submission, type StagedFile } from './submission.ts'

const roles: readonly string[] = [...singleRoles, ...Object.keys(repeatableRoles)]
/** Roles whose file name ends up in the build; the others have a fixed name there. */
const namedRoles: readonly string[] = ['contentBundle', 'clusterDefinition', 'cert']

type IntakeOptions = { readonly store: ObjectStore; readonly limits: UploadLimits }

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
  const files: StagedFile[] = []
  try {
    const spec = await readParts(request, options, files)
    return new Submission(options.store, spec, files)
  } catch (error) {
    request.raw.resume()
    for (const file of files) await discardUpload(options.store, file.staged)
    throw error
  }
}

async function readParts(request: FastifyRequest, options: IntakeOptions, files: StagedFile[]) {
  const faults: Diagnostic[] = []
  let spec: unknown
  let hasSpec = false
  for await (const part of request.parts()) {
    if (part.fieldname === 'spec') {
      if (hasSpec)
        faults.push(
          partFault('multipart.repeated-part', 'The part "spec" is there more than once. Send one.'),
        )
      hasSpec = true
      spec = parseSpec(await readText(part))
      continue
    }
    const fault = roleFault(part, files)
    if (fault !== undefined) {
      faults.push(fault)
      if (part.type === 'file') part.file.resume()
      continue
    }
    try {
      const staged = await stageUpload(options.store, contentOf(part), options.limits)
      const fileName = part.type === 'file' && fileNamePattern.test(part.filename) ? part.filename : undefined
      files.push({ role: part.fieldname as InputRole, staged, fileName })
    } catch (error) {
      const fault = contentFault(error, part)
      if (fault === undefined) throw error
      faults.push(fault)
      if (part.type === 'file') part.file.resume()
    }
  }
  if (!hasSpec)
    faults.push(
      partFault(
        'multipart.missing-part',
        'The part "spec" is missing: the build spec, JSON or YAML.',
        '/spec',
      ),
    )
  if (faults.length > 0) throw new ProblemError('invalid-body', 'The form has faults.', { errors: faults })
  return checkSpec(spec)
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

function roleFault(part: Multipart, files: readonly StagedFile[]): Diagnostic | undefined {
  const name = part.fieldname
  const pointer = `/${name.slice(0, 64).replaceAll('~', '~0').replaceAll('/', '~1')}`
  if (!roles.includes(name)) {
    return partFault(
      'multipart.unknown-part',
      `${JSON.stringify(name.slice(0, 64))} is not a part of this form. The parts are spec, ${roles.join(', ')}.`,
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

async function readText(part: Multipart): Promise<string> {
  if (part.type === 'field') {
    if (part.valueTruncated)
      throw new ProblemError('content-too-large', `The part "spec" is larger than ${specLimitBytes} bytes.`)
    return String(part.value)
  }
  const text = await buffer(limited(part))
  return text.toString('utf8')
}

async function* limited(part: MultipartFile): AsyncGenerator<Buffer> {
  let size = 0
  for await (const chunk of part.file as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > specLimitBytes)
      throw new ProblemError(
        'content-too-large',
        `The part "${part.fieldname}" is larger than ${specLimitBytes} bytes.`,
      )
    yield chunk
  }
}
