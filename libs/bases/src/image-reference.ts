/** The parts of an image reference that a registry is asked with. */
export type ImageReference = {
  /** Host and port of the registry's API. */
  readonly registry: string
  /** Name of the repository there. */
  readonly name: string
  /** Tag, or digest. */
  readonly reference: string
  /** The digest, where the reference carries one. */
  readonly digest: string | undefined
}

/**
 * Takes an image reference apart as Docker reads it (distribution/reference, `ParseNormalizedNamed`): the
 * first component is a host when it has a dot or a colon or is `localhost`, and Docker Hub is the default.
 */
export function parseImageReference(text: string): ImageReference {
  const [named = '', digest] = text.split('@')
  const slash = named.indexOf('/')
  const first = slash === -1 ? '' : named.slice(0, slash)
  const hasHost = first === 'localhost' || /[.:]/.test(first)
  const path = hasHost ? named.slice(slash + 1) : named
  const colon = path.lastIndexOf(':')
  const name = colon === -1 ? path : path.slice(0, colon)
  const tag = colon === -1 ? 'latest' : path.slice(colon + 1)
  const isHub = !hasHost || first === 'docker.io' || first === 'index.docker.io'
  return {
    registry: isHub ? 'registry-1.docker.io' : first,
    name: isHub && !name.includes('/') ? `library/${name}` : name,
    reference: digest ?? tag,
    digest,
  }
}
