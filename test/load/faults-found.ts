/** Most faults that are told one by one. */
const told = 40

/** What was not as it has to be. */
export class FaultsFound {
  readonly #texts: string[] = []
  #count = 0

  add(where: string, error: unknown): void {
    this.#count += 1
    if (this.#texts.length >= told) return
    const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : ''
    this.#texts.push(`${where}: ${error instanceof Error ? error.message : String(error)}${cause}`)
  }

  get count(): number {
    return this.#count
  }

  get texts(): readonly string[] {
    return this.#texts
  }
}
