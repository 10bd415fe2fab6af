import { reportItemLimit, type RetentionReport } from '@edgesmith/contract/retention'
import type { RemovalKind } from './plan-sweep.ts'

const fields = {
  build: 'builds',
  artifact: 'artifacts',
  base: 'bases',
  upload: 'uploads',
  fleet: 'fleets',
  object: 'objects',
} as const satisfies Record<RemovalKind, keyof RetentionReport>

/** Counts what goes. */
export class Tally {
  readonly #counted = new Map<RemovalKind, Map<string, number>>()

  /** Counts bytes of a thing; the first time the thing too. */
  add(kind: RemovalKind, id: string, bytes: number): void {
    const things = this.#counted.get(kind) ?? new Map<string, number>()
    things.set(id, (things.get(id) ?? 0) + bytes)
    this.#counted.set(kind, things)
  }

  /** The report of all that was counted. */
  report(
    run: Pick<RetentionReport, 'dryRun' | 'complete'> & { startedAt: Date; endedAt: Date },
  ): RetentionReport {
    const of = (kind: RemovalKind) => {
      const things = this.#counted.get(kind) ?? new Map<string, number>()
      const bytes = [...things.values()].reduce((sum, one) => sum + one, 0)
      return { count: things.size, bytes, items: [...things.keys()].slice(0, reportItemLimit) }
    }
    const parts = Object.fromEntries(
      Object.entries(fields).map(([kind, field]) => [field, of(kind as RemovalKind)]),
    ) as Record<(typeof fields)[RemovalKind], ReturnType<typeof of>>
    return {
      ...run,
      startedAt: run.startedAt.toISOString(),
      endedAt: run.endedAt.toISOString(),
      bytes: Object.values(parts).reduce((sum, { bytes }) => sum + bytes, 0),
      ...parts,
    }
  }
}
