import type { ImageDigests } from '@edgesmith/bases/image-digests'
import type { ResolvedImage } from '@edgesmith/contract/build'

/**
 * The images that a run pulls. Earthly prints the references and not what they stand for, so each is asked of
 * its registry at the moment that Earthly is seen to ask.
 */
export class PulledImages {
  readonly #digests: ImageDigests
  readonly #asked = new Map<string, Promise<string | undefined>>()

  constructor(digests: ImageDigests) {
    this.#digests = digests
  }

  /** Looks at the references seen so far. */
  look(references: readonly string[]): void {
    for (const reference of references) {
      if (this.#asked.has(reference)) continue
      const asked = this.#digests.resolve(reference, { fresh: true })
      // Whoever resolves gets the error.
      asked.catch(() => undefined)
      this.#asked.set(reference, asked)
    }
  }

  /** What the references stood for, and those whose registry did not tell. */
  async resolve(): Promise<{ resolved: ResolvedImage[]; unknown: string[] }> {
    const resolved: ResolvedImage[] = []
    const unknown: string[] = []
    for (const [reference, asked] of [...this.#asked].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const digest = await asked
      if (digest === undefined) unknown.push(reference)
      else resolved.push({ reference, digest })
    }
    return { resolved, unknown }
  }
}
