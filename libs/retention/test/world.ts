import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { findArtifact, publishArtifact } from '@edgesmith/artifacts/artifacts'
import { Base } from '@edgesmith/bases/base'
import { baseKey, readBase, recordBase } from '@edgesmith/bases/base-store'
import { stampVariant } from '@edgesmith/bases/variant'
import { putArchive } from '@edgesmith/builds/build-archive'
import type { BuildRepository } from '@edgesmith/builds/build-repository'
import { createBuild, describeFailure, finishBuild, startBuild } from '@edgesmith/builds/build-state'
import type { Artifact } from '@edgesmith/contract/artifact'
import type { Build } from '@edgesmith/contract/build'
import { listInputs } from '@edgesmith/contract/build-spec'
import { makeManifest, objectsOf, type Manifest } from '@edgesmith/manifest/manifest'
import { readJson } from '@edgesmith/store/json-object'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { commitUpload, findUpload, stageUpload } from '@edgesmith/uploads/uploads'
import { v7 as uuidv7 } from 'uuid'
import { ownProject } from '../../../test/support/projects.ts'

export const dayMs = 86_400_000
export const settings = { uploadUnusedMs: dayMs, baseUnusedMs: 7 * dayMs }

/** A signal that never aborts. */
export const { signal: never } = new AbortController()

export type Ground = { readonly store: ObjectStore; readonly repository: BuildRepository }

export async function keysOf(store: ObjectStore): Promise<string[]> {
  return (await Array.fromAsync(store.list(''))).map(({ key }) => key).sort()
}

/** An upload with some text as its content. */
export async function makeUpload(store: ObjectStore, content: string): Promise<string> {
  const limits = { limitBytes: 1_000_000 }
  const staged = await stageUpload(store, Readable.from([Buffer.from(content)]), limits)
  return (await commitUpload(store, staged)).upload.id
}

/** A base without a place for user-data, made of bytes of its own and of other objects. */
export async function makeBase(store: ObjectStore, others: readonly string[] = []): Promise<Base> {
  const id = uuidv7()
  await store.put(baseKey.data(id), Buffer.alloc(100, id))
  const manifest = makeManifest(
    [baseKey.data(id), ...others].map((object) => ({ length: 1, object, offset: 0 })),
  )
  const hex = id.replaceAll('-', '').padEnd(64, '0')
  const base: Base = {
    ...{ id, rootKey: hex, layersKey: hex, buildId: uuidv7(), createdAt: new Date().toISOString() },
    ...{ images: [], manifest, proof: [], unproved: [] },
  }
  await recordBase(store, base)
  return base
}

type BuildFields = { labels?: Record<string, string>; uploads?: readonly string[] }

function newBuild({ labels = {}, uploads = [] }: BuildFields): Build {
  const contentBundles = uploads.map((upload) => ({ upload }))
  return createBuild(
    {
      ...ownProject,
      ...{
        target: 'iso',
        canvos: { tag: 'v4.9.36', commit: '0'.repeat(40) },
        arguments: {},
        diagnostics: [],
      },
      spec: contentBundles.length === 0 ? {} : { inputs: { contentBundles } },
      labels,
    },
    new Date(),
  )
}

export async function makeQueuedBuild({ repository }: Ground, fields: BuildFields = {}): Promise<Build> {
  const build = newBuild(fields)
  await repository.create(build, new Date())
  return build
}

export async function makeFailedBuild({ repository }: Ground, fields: BuildFields): Promise<Build> {
  const at = new Date()
  const failure = describeFailure('no-output', 'There is nothing.')
  const build = finishBuild(startBuild(newBuild(fields), at), { state: 'failed', failure }, at)
  await repository.create(build, at)
  return build
}

/** A build that succeeded with what `make` gives it. */
export async function makeBuild(
  { store, repository }: Ground,
  fields: BuildFields,
  make: (build: Build) => Promise<Artifact[]>,
): Promise<Build> {
  const at = new Date()
  const build = startBuild(newBuild(fields), at)
  const artifacts = await make(build)
  const ended = finishBuild(build, { state: 'succeeded', artifacts }, at)
  await putArchive(store, ended, { log: Buffer.from('log'), events: Buffer.from('') })
  await repository.create(ended, at)
  return ended
}

export function stampOf(store: ObjectStore, base: Base): (build: Build) => Promise<Artifact[]> {
  return async (build) => (await stampVariant(store, { build, base, userData: undefined })).artifacts
}

/** A build with one file of its own. */
export function makePlainBuild(ground: Ground, fields: BuildFields = {}): Promise<Build> {
  return makeBuild(ground, fields, async ({ id }) => [
    await publishArtifact(ground.store, { buildId: id, name: 'plain.txt', source: Readable.from(['plain']) }),
  ])
}

/**
 * Something of everything: builds of which those labelled `stage=trial` may go, bases over one another, uploads
 * in all kinds of use, and what dead services left behind.
 */
export async function makeWorld(
  ground: Ground,
): Promise<{ kept: Build; doomed: Build; used: string[]; unused: string[] }> {
  const { store } = ground
  const [inImage, queued, failed, unused, ofTrial] = await Promise.all(
    ['in an image', 'of a queued build', 'of a failed build', 'unused', 'of a trial'].map((content) =>
      makeUpload(store, content),
    ),
  )
  assert.ok(inImage && queued && failed && unused && ofTrial)
  const root = await makeBase(store)
  const bundle = (await findUpload(store, inImage))?.objectKey ?? ''
  const composed = await makeBase(store, [baseKey.data(root.id), bundle])
  await makeBase(store, [baseKey.data(root.id)])
  await makeQueuedBuild(ground, { uploads: [queued] })
  await makeFailedBuild(ground, { uploads: [failed] })
  const kept = await makeBuild(ground, {}, stampOf(store, composed))
  const trial = { labels: { stage: 'trial' }, uploads: [ofTrial] }
  const doomed = await makeBuild(ground, trial, stampOf(store, root))
  await makePlainBuild(ground, trial)
  for (const key of [
    ...['uploads/data/left', `artifacts/${uuidv7()}/data`, `bases/${uuidv7()}/data`],
    ...[`builds/${uuidv7()}/log.txt`, `digests/${'d'.repeat(64)}.json`, `contents/${'d'.repeat(64)}.json`],
    ...[`fleets/${uuidv7()}/pack`, `uploads/used/${'d'.repeat(64)}.json`],
  ]) {
    await store.put(key, Buffer.from('{}'))
  }
  return { kept, doomed, used: [inImage, queued, failed], unused: [unused, ofTrial] }
}

/** Fails when anything refers to something that is not there. */
export async function assertConsistent({ store, repository }: Ground): Promise<void> {
  const keys = new Set(await keysOf(store))
  const assertWhole = (name: string, manifest: Manifest) => {
    for (const object of objectsOf(manifest)) assert.ok(keys.has(object), `${name} refers to ${object}`)
  }
  for (const key of keys) {
    if (key.endsWith('/artifact.json')) {
      const stored = await findArtifact(store, key.split('/')[1] ?? '')
      if (stored?.content.kind === 'manifest') assertWhole(key, stored.content.manifest)
    }
    if (key.endsWith('/base.json')) {
      const base = await readJson(store, key, Base)
      // One that is being removed is used by nobody.
      const isUsable = base !== undefined && (await readBase(store, base.id)) !== undefined
      if (isUsable) assertWhole(key, base.manifest)
    }
  }
  const { items } = await repository.list({ limit: 200 })
  for (const { id, state, spec, artifacts } of items) {
    for (const artifact of artifacts) {
      assert.ok(await findArtifact(store, artifact.id), `the build ${id} lists ${artifact.id}`)
    }
    if (state === 'succeeded') continue
    for (const { file } of listInputs(spec.inputs)) {
      const entry = await findUpload(store, file.upload)
      assert.ok(entry !== undefined && keys.has(entry.objectKey), `the build ${id} needs ${file.upload}`)
    }
  }
}
