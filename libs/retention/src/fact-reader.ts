import { recordKey, StoredArtifact } from '@edgesmith/artifacts/artifacts'
import { isLeased } from '@edgesmith/artifacts/lease'
import { Base } from '@edgesmith/bases/base'
import { baseKey } from '@edgesmith/bases/base-store'
import type { BuildRepository } from '@edgesmith/builds/build-repository'
import type { Build } from '@edgesmith/contract/build'
import { listInputs } from '@edgesmith/contract/build-spec'
import type { FleetRepository } from '@edgesmith/builds/fleet-repository'
import { fleetObject, FleetRecord } from '@edgesmith/fleets/fleet-record'
import { objectsOf } from '@edgesmith/manifest/manifest'
import { readJson } from '@edgesmith/store/json-object'
import type { ObjectEntry, ObjectStore } from '@edgesmith/store/object-store'
import { listRecords } from '@edgesmith/uploads/resumable-record'
import { CatalogueEntry } from '@edgesmith/uploads/uploads'
import { Type, type Static, type TSchema } from 'typebox'
import { concurrently } from './concurrently.ts'
import {
  idIn,
  type ArtifactFact,
  type BaseFact,
  type BuildFact,
  type Facts,
  type FleetFact,
} from './facts.ts'

/** The prefixes that retention looks after. */
const prefixes = ['artifacts/', 'bases/', 'builds/', 'contents/', 'digests/', 'fleets/', 'uploads/'] as const

/** How many records are read at a time, and builds at once. */
const readLimit = 32
const buildPage = 200

const LayersEntry = Type.Object({ baseId: Type.String() })

type Parts = {
  readonly store: ObjectStore
  readonly repository: BuildRepository
  readonly fleets: FleetRepository
}

/**
 * Reads what decides over what goes. A record that was read before is read again only where it was written
 * since. A record that cannot be understood is an error: what it refers to would be removed.
 */
export class FactReader {
  readonly #parts: Parts
  readonly #read = new Map<string, { entry: ObjectEntry; value: unknown }>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async read(now: Date, dismissed: ReadonlySet<string> = new Set()): Promise<Facts> {
    const { store, repository, fleets } = this.#parts
    const objects = new Map<string, ObjectEntry>()
    for (const prefix of prefixes) {
      for await (const entry of store.list(prefix)) objects.set(entry.key, entry)
    }
    const entries = [...objects.values()]
    const records = {
      artifacts: entries.filter(({ key }) => key === recordKey(idIn(key))),
      bases: entries.filter(({ key }) => key === baseKey.record(idIn(key))),
      layers: entries.filter(({ key }) => key.startsWith('bases/by-layers/')),
      uploads: entries.filter(({ key }) => key.startsWith('uploads/by-digest/')),
      fleets: entries.filter(({ key }) => key === fleetObject.record(idIn(key))),
    }
    const resumables = new Set<string>()
    for await (const { object } of listRecords(store)) resumables.add(object.key)
    // Asked before the builds are listed: the builds of a fleet that is through are all there.
    const open = new Set(await fleets.listOpen())
    return {
      objects,
      resumables,
      dismissed,
      artifacts: await this.#collect(records.artifacts, StoredArtifact, toArtifactFact),
      bases: await this.#collect(records.bases, Base, toBaseFact),
      layers: await this.#collect(records.layers, LayersEntry, ({ baseId }, key) => [key, baseId]),
      uploads: await this.#collect(records.uploads, CatalogueEntry, ({ objectKey, upload }) => [
        upload.id,
        objectKey,
      ]),
      fleets: withOpen(await this.#collect(records.fleets, FleetRecord, toFleetFact), open),
      builds: await Array.fromAsync(listBuilds(repository), toBuildFact),
      leased: await readLeases(store, now),
    }
  }

  async #collect<Schema extends TSchema, Fact>(
    entries: readonly ObjectEntry[],
    schema: Schema,
    convert: (value: Static<Schema>, key: string) => [id: string, fact: Fact],
  ): Promise<Map<string, Fact>> {
    const facts = await concurrently(entries, readLimit, async (entry) => {
      const known = this.#read.get(entry.key)
      if (known !== undefined && isSame(known.entry, entry)) return known.value as [string, Fact]
      const record = await readJson(this.#parts.store, entry.key, schema)
      if (record === undefined) return undefined
      const value = convert(record, entry.key)
      this.#read.set(entry.key, { entry, value })
      return value
    })
    return new Map(facts.filter((fact) => fact !== undefined))
  }
}

function isSame(a: ObjectEntry, b: ObjectEntry): boolean {
  return a.size === b.size && a.modifiedAt.getTime() === b.modifiedAt.getTime()
}

function toArtifactFact({ artifact, content }: StoredArtifact): [string, ArtifactFact] {
  const objects = content.kind === 'manifest' ? objectsOf(content.manifest) : []
  return [artifact.id, { buildId: artifact.buildId, etag: artifact.etag, objects }]
}

function toBaseFact({ id, rootKey, layersKey, createdAt, manifest }: Base): [string, BaseFact] {
  return [id, { rootKey, layersKey, createdAt, objects: objectsOf(manifest) }]
}

function withOpen(
  fleets: ReadonlyMap<string, Omit<FleetFact, 'isOpen'>>,
  open: ReadonlySet<string>,
): Map<string, FleetFact> {
  return new Map([...fleets].map(([id, fleet]) => [id, { ...fleet, isOpen: open.has(id) }]))
}

function toFleetFact({ id, createdAt, build, sites }: FleetRecord): [string, Omit<FleetFact, 'isOpen'>] {
  const inputs = [build.spec.inputs, ...sites.map(({ own }) => own?.inputs)]
  return [
    id,
    {
      createdAt,
      builds: sites.map(({ buildId }) => buildId),
      uploads: inputs.flatMap((some) => listInputs(some).map(({ file }) => file.upload)),
    },
  ]
}

function toBuildFact({ id, state, target, labels, createdAt, endedAt, spec, artifacts }: Build): BuildFact {
  return {
    ...{ id, state, target, labels, createdAt },
    ...(endedAt === undefined ? {} : { endedAt }),
    uploads: listInputs(spec.inputs).map(({ file }) => file.upload),
    artifacts: artifacts.map((artifact) => artifact.id),
  }
}

async function* listBuilds(repository: BuildRepository): AsyncGenerator<Build> {
  let cursor: string | undefined
  do {
    const page = await repository.list({ limit: buildPage, ...(cursor === undefined ? {} : { cursor }) })
    yield* page.items
    cursor = page.nextCursor
  } while (cursor !== undefined)
}

async function readLeases(store: ObjectStore, now: Date): Promise<Set<string>> {
  const ids = new Set<string>()
  for await (const { key } of store.list('leases/')) ids.add(idIn(key))
  const leased = new Set<string>()
  for (const id of ids) if (await isLeased(store, id, now)) leased.add(id)
  return leased
}
