import type { Recipe } from '@edgesmith/bases/keys'
import type { Build } from '@edgesmith/contract/build'
import { listInputs } from '@edgesmith/contract/build-spec'
import { projectOf } from '@edgesmith/contract/project'
import { earthlySecretVersions } from '@edgesmith/secrets/build-secrets'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { findUpload } from '@edgesmith/uploads/uploads'

/** What decides the bytes of a build's ISO; undefined when an input is no longer stored. */
export async function findRecipe(store: ObjectStore, build: Build): Promise<Recipe | undefined> {
  const { target, canvos, arguments: buildArguments, spec } = build
  const inputs: Recipe['inputs'][number][] = []
  for (const { role, pointer, file } of listInputs(spec.inputs)) {
    const entry = await findUpload(store, file.upload)
    if (entry === undefined) return undefined
    const { objectKey, upload } = entry
    const { kind, size } = upload
    const fileName = file.fileName ?? upload.fileName
    inputs.push({
      ...{ role, pointer, objectKey, contentId: file.upload, kind, size },
      ...(fileName === undefined ? {} : { fileName }),
    })
  }
  const vault = { project: projectOf(build), store, keyring: undefined }
  const secrets = await earthlySecretVersions(vault, spec.secrets)
  return { target, canvos, arguments: buildArguments, inputs, secrets }
}
