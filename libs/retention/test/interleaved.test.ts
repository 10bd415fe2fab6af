import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { baseKey, isCondemned, readBase } from '@edgesmith/bases/base-store'
import { BaseCondemned } from '@edgesmith/bases/variant'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { projectPrefix, ProjectStores } from '@edgesmith/store/project-stores'
import { commitUpload, findUpload, stageUpload, useUpload } from '@edgesmith/uploads/uploads'
import { ownProject, ownStore } from '../../../test/support/projects.ts'
import { openStage, type Stage } from '../../builds/test/redis.ts'
import { runRetention } from '../src/run-retention.ts'
import { interleavedStore, meetingStores } from './stores.ts'
import {
  assertConsistent,
  dayMs,
  keysOf,
  makeBase,
  makeBuild,
  makeQueuedBuild,
  makeUpload,
  never,
  stampOf,
} from './world.ts'

const content = 'bundle'

describe('a sweep and what goes on at the same time', () => {
  let stage: Stage
  let root: string
  before(async () => {
    stage = await openStage()
    root = await mkdtemp(join(tmpdir(), 'edgesmith-retention-'))
  })
  after(async () => {
    await rm(root, { recursive: true })
    await stage[Symbol.asyncDispose]()
  })

  function sweep(whole: ObjectStore) {
    const { redis, repository } = stage
    // A base goes as soon as nothing refers to it.
    const settings = { uploadUnusedMs: dayMs, baseUnusedMs: 0 }
    return runRetention(
      { stores: new ProjectStores(whole), redis, repository, settings },
      { project: ownProject, dryRun: false, signal: never },
    )
  }

  async function stampIt(store: ObjectStore, baseId: string): Promise<'stamped' | 'refused' | 'not found'> {
    const found = await readBase(store, baseId)
    if (found === undefined) return 'not found'
    try {
      await makeBuild({ ...stage, store }, {}, stampOf(store, found))
      return 'stamped'
    } catch (error) {
      if (!(error instanceof BaseCondemned)) throw error
      return 'refused'
    }
  }

  async function composeIt(
    store: ObjectStore,
    baseId: string,
  ): Promise<'composed' | 'refused' | 'not found'> {
    if ((await readBase(store, baseId)) === undefined) return 'not found'
    const { id } = await makeBase(store, [baseKey.data(baseId)])
    if (!(await isCondemned(store, baseId))) return 'composed'
    for (const key of [baseKey.record(id), baseKey.data(id)]) await store.remove(key)
    return 'refused'
  }

  async function submit(store: ObjectStore, upload: string): Promise<'used' | 'not found'> {
    if ((await useUpload(store, upload)) === undefined) return 'not found'
    await makeQueuedBuild({ ...stage, store }, { uploads: [upload] })
    return 'used'
  }

  async function sendAgain(store: ObjectStore): Promise<'new' | 'there already'> {
    const staged = await stageUpload(store, Readable.from([Buffer.from(content)]), { limitBytes: 1_000_000 })
    const { upload, created } = await commitUpload(store, staged)
    await makeQueuedBuild({ ...stage, store }, { uploads: [upload.id] })
    return created ? 'new' : 'there already'
  }

  /** A store with an unused base, and with an upload that has not been used for long. */
  async function prepare() {
    await stage.redis.flushall()
    const directory = join(root, randomUUID())
    const whole = await openDirectoryStore(directory)
    const store = ownStore(whole)
    const upload = await makeUpload(store, content)
    for (const key of await keysOf(store))
      await utimes(join(directory, '.objects', projectPrefix(ownProject), key), 1000, 1000)
    return { whole, store, upload, base: await makeBase(store) }
  }

  type Prepared = Awaited<ReturnType<typeof prepare>>
  const actors: Record<
    string,
    [act: (store: ObjectStore, on: Prepared) => Promise<string>, outcomes: string[]]
  > = {
    'an ISO that is stamped': [
      (store, { base }) => stampIt(store, base.id),
      ['not found, removed', 'refused, removed', 'stamped, stayed'],
    ],
    'a base that is composed': [
      (store, { base }) => composeIt(store, base.id),
      ['not found, removed', 'refused, removed', 'composed, stayed'],
    ],
    'a build that is submitted': [
      (store, { upload }) => submit(store, upload),
      ['not found, removed', 'used, stayed'],
    ],
    'a file that is sent again': [(store) => sendAgain(store), ['new, removed', 'there already, stayed']],
  }

  for (const [name, [act, expected]] of Object.entries(actors)) {
    it(`never leaves ${name} without what it refers to, wherever both meet`, async () => {
      const isOfBase = name.includes('base') || name.includes('ISO')
      const outcomes = new Set<string>()
      for (let m = 0; m < 8; m += 1) {
        for (let n = 1 + (m % 3), steps = n; n <= steps + 3; n += 3) {
          const prepared = await prepare()
          const { whole, store, base, upload } = prepared
          const key = isOfBase ? baseKey.data(base.id) : ((await findUpload(store, upload))?.objectKey ?? '')
          const meeting = meetingStores(whole, m, n)
          const [, outcome] = await Promise.all([
            sweep(meeting.sweep).finally(() => {
              meeting.end('sweep')
            }),
            act(ownStore(meeting.actor), prepared).finally(() => {
              meeting.end('actor')
            }),
          ])
          steps = Math.max(steps, meeting.sweepSteps())
          await assertConsistent({ ...stage, store })
          outcomes.add(`${outcome}, ${(await store.stat(key)) === undefined ? 'removed' : 'stayed'}`)
          assert.deepEqual(
            (await keysOf(store)).filter((one) => one.startsWith('uploads/condemned/')),
            [],
          )
        }
      }
      for (const outcome of expected)
        assert.ok(outcomes.has(outcome), `never ${outcome}: ${[...outcomes].join('; ')}`)
    })
  }

  it('leaves nothing without what it refers to, whatever order many things come in', async () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const { whole, store, base, upload } = await prepare()
      const interleaved = interleavedStore(whole, seed)
      const own = ownStore(interleaved)
      const tasks = [
        () => stampIt(own, base.id),
        () => stampIt(own, base.id),
        () => composeIt(own, base.id),
        () => submit(own, upload),
        () => sendAgain(own),
      ]
      const begin = async (task: () => Promise<unknown>, index: number) => {
        // Lets the sweep come so far first.
        for (let step = (seed * (index + 7)) % 31; step > 0; step -= 1) await interleaved.stat('nothing')
        await task()
      }
      await Promise.all([sweep(interleaved), ...tasks.map(begin)])
      await assertConsistent({ ...stage, store })
      await sweep(whole)
      await assertConsistent({ ...stage, store })
    }
  })
})
