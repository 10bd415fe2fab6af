import type { Recipe } from '@edgesmith/bases/keys'
import type { Build } from '@edgesmith/contract/build'
import { listInputs } from '@edgesmith/contract/build-spec'
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
  return { target, canvos, arguments: buildArguments, inputs }
}
