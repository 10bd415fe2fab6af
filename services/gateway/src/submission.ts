import type { ObjectStore } from '@edgesmith/store/object-store'
import type { BuildSpec, InputRole } from '@edgesmith/contract/build-spec'
import type { Diagnostic } from '@edgesmith/contract/diagnostic'
import type { StoredInput } from '@edgesmith/contract/validation'
import { listInputs, repeatableRoles } from '@edgesmith/contract/build-spec'
import { commitUpload, discardUpload, useUpload, type StagedUpload } from '@edgesmith/uploads/uploads'

/** A file that came with a request, stored but not yet in the catalogue. */
export type StagedFile = {
  readonly role: InputRole
  readonly staged: StagedUpload
  readonly fileName: string | undefined
  /** The bytes, where they are at hand. */
  readonly bytes?: Buffer | undefined
}

type StoredFile = Omit<StoredInput, 'role' | 'pointer' | 'contentId'>

/**
 * A build spec with the files that came with it. Until `commit`, the files belong to the request
 * alone: disposing of the submission removes them, so that a refused request leaves nothing behind.
 */
export class Submission implements AsyncDisposable {
  readonly #store: ObjectStore
  readonly #files: StagedFile[]
  readonly spec: BuildSpec
  /** The user-data, where it came with the request and is small. */
  readonly userData: Buffer | undefined

  constructor(store: ObjectStore, spec: BuildSpec, files: readonly StagedFile[]) {
    this.#store = store
    this.#files = [...files]
    this.spec = withFiles(spec, files)
    this.userData = files.find(({ role }) => role === 'userData')?.bytes
  }

  /** Where each input's bytes are, and a diagnostic for each upload that is not there. */
  async resolveInputs(): Promise<{ inputs: StoredInput[]; diagnostics: Diagnostic[] }> {
    const inputs: StoredInput[] = []
    const diagnostics: Diagnostic[] = []
    for (const { role, pointer, file } of listInputs(this.spec.inputs)) {
      const staged = this.#files.find(
        (candidate) => candidate.role === role && candidate.staged.contentId === file.upload,
      )
      const found: StoredFile | undefined = staged?.staged ?? (await this.#findStored(file.upload))
      if (found === undefined) {
        diagnostics.push({
          severity: 'error',
          code: 'input.upload-not-found',
          message: `There is no upload ${file.upload}. Send the file with POST /v1/uploads first, or as the form part "${role}".`,
          source: 'spec',
          pointer: `${pointer}/upload`,
        })
        continue
      }
      const { objectKey, size, kind } = found
      const fileName = file.fileName ?? found.fileName
      inputs.push({
        role,
        pointer,
        objectKey,
        contentId: file.upload,
        size,
        kind,
        ...(fileName === undefined ? {} : { fileName }),
      })
    }
    return { inputs, diagnostics }
  }

  async #findStored(contentId: string): Promise<StoredFile | undefined> {
    const found = await useUpload(this.#store, contentId)
    return found === undefined ? undefined : { objectKey: found.objectKey, ...found.upload }
  }

  /**
   * Makes the files uploads like any other; from here on they outlive the submission. True when one of them
   * had been uploaded before: its bytes are elsewhere now.
   */
  async commit(): Promise<boolean> {
    let isMoved = false
    while (this.#files.length > 0) {
      const [file] = this.#files as [StagedFile]
      const { created } = await commitUpload(
        this.#store,
        file.staged,
        file.fileName === undefined ? {} : { fileName: file.fileName },
      )
      isMoved ||= !created
      this.#files.shift()
    }
    return isMoved
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#files.splice(0)) await discardUpload(this.#store, file.staged)
  }
}

function isRepeatable(role: InputRole): role is keyof typeof repeatableRoles {
  return role in repeatableRoles
}

function withFiles(spec: BuildSpec, files: readonly StagedFile[]): BuildSpec {
  if (files.length === 0) return spec
  const inputs = { ...spec.inputs }
  for (const { role, staged, fileName } of files) {
    const reference = { upload: staged.contentId, ...(fileName === undefined ? {} : { fileName }) }
    if (isRepeatable(role))
      inputs[repeatableRoles[role]] = [...(inputs[repeatableRoles[role]] ?? []), reference]
    else inputs[role] = reference
  }
  return { ...spec, inputs }
}
