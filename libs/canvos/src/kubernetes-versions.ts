import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Mirror, ReleaseFile } from './mirror.ts'

/** The Kubernetes versions of a CanvOS tag by distribution, in the order CanvOS lists them. */
export type KubernetesVersions = Record<string, string[]>

const KubernetesVersionsFile = Type.Record(Type.String(), Type.Array(Type.String()))

/** Where CanvOS keeps them from v4.4.12 on; before, they are spread over the Earthfile's targets. */
const file: ReleaseFile<KubernetesVersions> = {
  path: 'k8s_version.json',
  parse: (text, tag) => {
    const content: unknown = JSON.parse(text)
    if (Value.Check(KubernetesVersionsFile, content)) return content
    throw new Error(`${file.path} of CanvOS ${tag} is not a list of versions for each distribution`)
  },
}

/**
 * Reads the Kubernetes versions that provider images of a tag can be built for.
 *
 * @returns undefined for a tag without `k8s_version.json`, that is, before v4.4.12.
 * @throws when the file is not what CanvOS documents: distributions with a list of versions each.
 */
export async function readKubernetesVersions(
  mirror: Pick<Mirror, 'readParsed'>,
  tag: string,
): Promise<Readonly<KubernetesVersions> | undefined> {
  return mirror.readParsed(tag, file)
}
