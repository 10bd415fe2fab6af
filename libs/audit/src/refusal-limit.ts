/** Refusals of one client that are recorded in a minute; further ones are counted. */
const recordedPerMinute = 30
/** Clients that are kept in mind. */
const maximumClients = 10_000
const minuteMs = 60_000

type Window = { endsAt: number; recorded: number; suppressed: number }

/** Keeps whoever has no valid credentials from filling the store with records of that. */
export class RefusalLimit {
  readonly #windows = new Map<string, Window>()

  /**
   * How many refusals of the client were not recorded since the last one that was, for the record of this one;
   * undefined when this one is not to be recorded either.
   */
  admit(client: string, now = Date.now()): number | undefined {
    let window = this.#windows.get(client)
    if (window === undefined || now >= window.endsAt) {
      window = { endsAt: now + minuteMs, recorded: 0, suppressed: window?.suppressed ?? 0 }
      // The last to be set is the last in a map: the first is the one that was not heard of for the longest.
      this.#windows.delete(client)
      this.#windows.set(client, window)
      const [oldest] = this.#windows.keys()
      if (oldest !== undefined && this.#windows.size > maximumClients) this.#windows.delete(oldest)
    }
    if (window.recorded >= recordedPerMinute) {
      window.suppressed += 1
      return undefined
    }
    window.recorded += 1
    const { suppressed } = window
    window.suppressed = 0
    return suppressed
  }
}
