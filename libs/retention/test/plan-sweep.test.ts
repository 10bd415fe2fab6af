import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RetentionPolicy } from '@edgesmith/contract/retention'
import type { BuildFact, Facts } from '../src/facts.ts'
import { planSweep } from '../src/plan-sweep.ts'
import { buildsToDelete } from '../src/policies.ts'

const now = new Date('2026-03-14T12:00:00.000Z')
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const settings = { uploadUnusedMs: dayMs, baseUnusedMs: 7 * dayMs }

function ago(ms: number): Date {
  return new Date(now.getTime() - ms)
}

function build(id: string, fields: Partial<BuildFact> & { endedDays?: number } = {}): BuildFact {
  const { endedDays = 1, ...rest } = fields
  const endedAt = ago(endedDays * dayMs).toISOString()
  return {
    ...{ id, state: 'succeeded', target: 'iso', labels: {}, createdAt: ago(50 * dayMs).toISOString() },
    ...(rest.state === 'queued' || rest.state === 'running' ? {} : { endedAt }),
    ...{ uploads: [], artifacts: [] },
    ...rest,
  }
}

const hex = (digit: string) => digit.repeat(64)
const upload = (digit: string) => `sha256:${hex(digit)}`

type World = Partial<Omit<Facts, 'objects'>> & {
  /** Age of each object in days; every object has 10 bytes. */
  objects?: Record<string, number>
}

function factsOf({ objects = {}, ...rest }: World): Facts {
  return {
    ...{ builds: [], artifacts: new Map(), bases: new Map(), layers: new Map(), uploads: new Map() },
    ...{ resumables: new Set(), fleets: new Map(), leased: new Set(), dismissed: new Set() },
    ...rest,
    objects: new Map(
      Object.entries(objects).map(([key, days]) => [key, { key, size: 10, modifiedAt: ago(days * dayMs) }]),
    ),
  }
}

/** The keys that go, in the order in which they do. */
function goes(world: World, policies: RetentionPolicy[] = []): string[] {
  const { removals } = planSweep(factsOf(world), { policies }, settings, now)
  return removals.flatMap(({ keys }) => keys)
}

const base = (objects: string[], createdDays = 30) => ({
  rootKey: hex('1'),
  layersKey: hex('2'),
  createdAt: ago(createdDays * dayMs).toISOString(),
  objects,
})

describe('policies', () => {
  const builds = [
    build('old', { endedDays: 10, labels: { stage: 'trial' } }),
    build('new', { endedDays: 2, labels: { stage: 'trial', site: 'a' } }),
    build('failed', { endedDays: 5, state: 'failed' }),
    build('images', { endedDays: 20, target: 'provider-images' }),
    build('running', { state: 'running', labels: { stage: 'trial' } }),
    build('queued', { state: 'queued', labels: { stage: 'trial' } }),
  ]
  const cases: [string, Omit<RetentionPolicy, 'name'>, string[]][] = [
    ['age', { keep: { maxAgeDays: 5 } }, ['images', 'old']],
    ['age, nothing as old', { keep: { maxAgeDays: 20 } }, []],
    ['count keeps those that ended last', { keep: { maxCount: 1 } }, ['failed', 'images', 'old']],
    ['count of none', { keep: { maxCount: 0 } }, ['failed', 'images', 'new', 'old']],
    ['age or count', { keep: { maxAgeDays: 15, maxCount: 3 } }, ['images']],
    ['a label', { match: { labels: { stage: 'trial' } }, keep: { maxCount: 0 } }, ['new', 'old']],
    ['all labels', { match: { labels: { stage: 'trial', site: 'a' } }, keep: { maxCount: 0 } }, ['new']],
    ['a label with another value', { match: { labels: { stage: 'x' } }, keep: { maxCount: 0 } }, []],
    ['target', { match: { target: 'provider-images' }, keep: { maxAgeDays: 1 } }, ['images']],
    ['states', { match: { state: ['failed', 'canceled'] }, keep: { maxAgeDays: 1 } }, ['failed']],
    ['count within what matches', { match: { state: ['succeeded'] }, keep: { maxCount: 2 } }, ['images']],
  ]
  for (const [name, policy, expected] of cases) {
    it(name, () => {
      const doomed = buildsToDelete(builds, { policies: [{ name: 'p', ...policy }] }, now)
      assert.deepEqual([...doomed.keys()].sort(), expected)
    })
  }

  it('names the first policy that deletes a build', () => {
    const keep = { maxCount: 0 }
    const policies = [
      { name: 'first', match: { state: ['failed' as const] }, keep },
      { name: 'second', keep },
    ]
    const doomed = buildsToDelete(builds, { policies }, now)
    assert.equal(doomed.get('failed'), 'first')
    assert.equal(doomed.get('old'), 'second')
  })
})

describe('what goes', () => {
  const all: RetentionPolicy[] = [{ name: 'all', keep: { maxCount: 0 } }]
  const artifactOf = (buildId: string, objects: string[]) => ({ buildId, etag: hex('e'), objects })
  const one: World = {
    builds: [build('b', { artifacts: ['a'] })],
    artifacts: new Map([['a', artifactOf('b', ['bases/x/data', 'artifacts/a/data'])]]),
    bases: new Map([['x', base(['bases/x/data'])]]),
    objects: {
      'artifacts/a/artifact.json': 0.1,
      'artifacts/a/data': 0.1,
      'bases/x/base.json': 30,
      'bases/x/data': 30,
      'builds/b/build.json': 1,
      [`digests/${hex('e')}.json`]: 5,
    },
  }
  const [entry, used, condemned] = ['by-digest/sha256', 'used', 'condemned'].map(
    (place) => `uploads/${place}/${hex('9')}.json`,
  ) as [string, string, string]
  const uploaded = (days: number, usedDays: number): World => ({
    uploads: new Map([[upload('9'), 'uploads/data/d']]),
    objects: { [entry]: days, [used]: usedDays, 'uploads/data/d': days },
  })
  const fleet = (days: number, isOpen = false): World => ({
    fleets: new Map([
      ['f', { createdAt: ago(days * dayMs).toISOString(), isOpen, builds: ['b'], uploads: [upload('9')] }],
    ]),
    objects: { 'fleets/f/fleet.json': days, 'fleets/f/pack': days },
  })

  const cases: [string, World, string[], RetentionPolicy[]?][] = [
    ['nothing of a build that is kept', one, []],
    [
      'a deleted build, its archive, its artifacts and the digest of them; the base stays as a cache',
      one,
      ['builds/b/build.json', 'artifacts/a/artifact.json', 'artifacts/a/data', `digests/${hex('e')}.json`],
      all,
    ],
    ['nothing of a build that is downloaded', { ...one, leased: new Set(['a']) }, [], all],
    [
      'an artifact that its ended build does not list',
      { ...one, builds: [build('b')], objects: { 'artifacts/a/artifact.json': 2, 'artifacts/a/data': 2 } },
      ['artifacts/a/artifact.json', 'artifacts/a/data'],
    ],
    [
      'an artifact without a build',
      { ...one, builds: [], objects: { 'artifacts/a/artifact.json': 2, 'artifacts/a/data': 9 } },
      ['artifacts/a/artifact.json', 'artifacts/a/data'],
    ],
    [
      'no young artifact without a build',
      { ...one, builds: [], objects: { 'artifacts/a/artifact.json': 0.9 } },
      [],
    ],
    [
      'no artifact of a running build',
      { ...one, builds: [build('b', { state: 'running' })], objects: { 'artifacts/a/artifact.json': 9 } },
      [],
    ],
    [
      'no artifact without a build that is downloaded',
      { ...one, builds: [], leased: new Set(['a']), objects: { 'artifacts/a/artifact.json': 9 } },
      [],
    ],
    [
      'old bytes without a record',
      { objects: { 'artifacts/z/data': 2, 'artifacts/y/data': 0.5 } },
      ['artifacts/z/data'],
    ],
    [
      'no bytes of a download whose record is gone',
      { leased: new Set(['z']), objects: { 'artifacts/z/data': 2 } },
      [],
    ],
    [
      'young bytes whose record was just removed',
      { dismissed: new Set(['z']), objects: { 'artifacts/z/data': 0 } },
      ['artifacts/z/data'],
    ],
    [
      'no bytes that the image of another artifact is made of',
      {
        ...one,
        artifacts: new Map([['a', artifactOf('b', ['artifacts/z/data'])]]),
        objects: { 'artifacts/a/artifact.json': 9, 'artifacts/z/data': 9 },
      },
      [],
    ],
    [
      'an image that materializing left unfinished, not the bytes of the stamp',
      {
        ...one,
        artifacts: new Map([['a', artifactOf('b', ['bases/x/data'])]]),
        objects: { 'artifacts/a/artifact.json': 9, 'artifacts/a/data': 9, 'artifacts/a/image': 2 },
      },
      ['artifacts/a/image'],
    ],
    [
      'an unused base: index, record, bytes, and the mark last',
      {
        bases: new Map([['x', base(['bases/x/data'], 8)]]),
        layers: new Map([[`bases/by-layers/${hex('2')}.json`, 'x']]),
        objects: {
          [`bases/by-layers/${hex('2')}.json`]: 8,
          [`bases/by-root/${hex('1')}/x.json`]: 8,
          'bases/x/base.json': 8,
          'bases/x/condemned': 0,
          'bases/x/data': 8,
        },
      },
      [
        `bases/by-root/${hex('1')}/x.json`,
        `bases/by-layers/${hex('2')}.json`,
        'bases/x/base.json',
        'bases/x/data',
        'bases/x/condemned',
      ],
    ],
    [
      'no entry by layers that leads to another base',
      {
        bases: new Map([
          ['x', base([], 8)],
          ['y', base([], 1)],
        ]),
        layers: new Map([[`bases/by-layers/${hex('2')}.json`, 'y']]),
        objects: { [`bases/by-layers/${hex('2')}.json`]: 8, 'bases/x/base.json': 8, 'bases/y/base.json': 1 },
      },
      ['bases/x/base.json'],
    ],
    [
      'no base that was used lately',
      { bases: new Map([['x', base([], 30)]]), objects: { 'bases/x/base.json': 30, 'bases/x/used': 6.9 } },
      [],
    ],
    [
      'no base that another base is made of, in several steps',
      {
        bases: new Map([
          ['x', base([])],
          ['y', base(['bases/x/data'])],
          ['z', base(['bases/y/layout'], 1)],
          ['w', base(['bases/x/data'])],
        ]),
        objects: {
          ...{
            'bases/w/base.json': 30,
            'bases/x/base.json': 30,
            'bases/y/base.json': 30,
            'bases/z/base.json': 1,
          },
        },
      },
      ['bases/w/base.json'],
    ],
    [
      'bytes of a base that was never recorded, and its index',
      {
        objects: {
          'bases/x/data': 2,
          'bases/y/data': 0.5,
          [`bases/by-root/${hex('1')}/x.json`]: 2,
          [`bases/by-layers/${hex('3')}.json`]: 2,
        },
        layers: new Map([[`bases/by-layers/${hex('3')}.json`, 'x']]),
      },
      ['bases/x/data', `bases/by-root/${hex('1')}/x.json`, `bases/by-layers/${hex('3')}.json`],
    ],
    [
      'the rest of a base whose removal was cut off, at once',
      { objects: { 'bases/x/condemned': 0, 'bases/x/data': 0.1 } },
      ['bases/x/data', 'bases/x/condemned'],
    ],
    ['an unused upload: bytes, entry, use', uploaded(2, 1.1), ['uploads/data/d', entry, used]],
    ['no upload that was used within the day', uploaded(20, 0.9), []],
    ['no upload that is new', uploaded(0.9, 20), []],
    ...(['queued', 'running', 'failed', 'canceled', 'timed-out'] as const).map(
      (state): [string, World, string[]] => [
        `no upload of a ${state} build`,
        { ...uploaded(9, 9), builds: [build('b', { state, uploads: [upload('9')] })] },
        [],
      ],
    ),
    [
      'an upload of a build that succeeded',
      { ...uploaded(9, 9), builds: [build('b', { uploads: [upload('9')] })] },
      ['uploads/data/d', entry, used],
    ],
    [
      'no upload that an image is made of',
      {
        ...uploaded(9, 9),
        bases: new Map([['x', base(['uploads/data/d'], 1)]]),
        objects: { ...uploaded(9, 9).objects, 'bases/x/base.json': 1 },
      },
      [],
    ],
    [
      'bytes that no entry names',
      { objects: { 'uploads/data/d': 1.1, 'uploads/data/e': 0.9 } },
      ['uploads/data/d'],
    ],
    [
      'no bytes of a resumable upload',
      { resumables: new Set(['uploads/data/d']), objects: { 'uploads/data/d': 9 } },
      [],
    ],
    ['marks without an upload', { objects: { [used]: 2, [condemned]: 0 } }, [used, condemned]],
    ['a fleet without builds', fleet(2), ['fleets/f/fleet.json', 'fleets/f/pack']],
    ['no young fleet', fleet(0.5), []],
    ['no fleet whose builds are being made', fleet(9, true), []],
    ['no fleet with a build', { ...fleet(9), builds: [build('b')] }, []],
    [
      'no upload of a fleet whose builds are being made',
      { ...uploaded(9, 9), ...fleet(9, true), objects: { ...uploaded(9, 9).objects, ...fleet(9).objects } },
      [],
    ],
    [
      'no pack that an image is made of',
      {
        builds: [build('b', { artifacts: ['a'] })],
        artifacts: new Map([['a', artifactOf('b', ['fleets/f/pack'])]]),
        objects: { 'artifacts/a/artifact.json': 9, 'fleets/f/pack': 9 },
      },
      [],
    ],
    [
      'the archive of a build that is not there, and digests of nothing',
      { objects: { 'builds/z/log.txt': 2, 'builds/y/log.txt': 0.5, [`contents/${hex('c')}.json`]: 2 } },
      ['builds/z/log.txt', `contents/${hex('c')}.json`],
    ],
  ]
  for (const [name, world, expected, policies] of cases) {
    it(name, () => {
      assert.deepEqual(goes(world, policies), expected)
    })
  }

  it('takes the marks of dead runs off what stays', () => {
    const facts = factsOf({
      ...uploaded(0.5, 0.5),
      bases: new Map([['x', base([], 1)]]),
      objects: {
        ...uploaded(0.5, 0.5).objects,
        [condemned]: 0,
        'bases/x/base.json': 1,
        'bases/x/condemned': 1,
      },
    })
    const { removals, marks } = planSweep(facts, { policies: [] }, settings, now)
    assert.deepEqual(removals, [])
    assert.deepEqual([...marks].sort(), ['bases/x/condemned', condemned].sort())
  })

  it('counts the bytes', () => {
    const { removals } = planSweep(factsOf(uploaded(9, 9)), { policies: [] }, settings, now)
    assert.deepEqual(
      removals.map(({ kind, id, bytes }) => ({ kind, id, bytes })),
      [{ kind: 'upload', id: upload('9'), bytes: 30 }],
    )
  })
})
