import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { concludeBuild } from '@edgesmith/builds/build-conclusion'
import { cancelBuild, finishBuild, retryBuild, startBuild } from '@edgesmith/builds/build-state'
import { FleetRepository } from '@edgesmith/builds/fleet-repository'
import { takeFlight } from '@edgesmith/builds/flight'
import { ProblemError, type ProblemCode } from '@edgesmith/contract/problem'
import { v7 as uuidv7 } from 'uuid'
import { otherProjects, ownProject } from '../../../test/support/projects.ts'
import { archiveKey } from '../src/build-archive.ts'
import { at, fail, newBuild, openStage } from './redis.ts'
import type { Stage } from './redis.ts'

function isProblem(code: ProblemCode): (error: unknown) => boolean {
  return (error) => error instanceof ProblemError && error.code === code
}

describe('builds and fleets of several projects', () => {
  let stage: Stage
  before(async () => {
    stage = await openStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  it('does not find the builds of another project', async () => {
    const build = newBuild({ labels: { site: 'one' } })
    const own = stage.repository.within(ownProject)
    await own.create(build, at)
    assert.deepEqual(await own.get(build.id), build)
    for (const project of otherProjects) {
      const other = stage.repository.within(project)
      assert.equal(await other.find(build.id), undefined)
      for (const operation of [
        () => other.get(build.id),
        () => other.update(build.id, (found) => cancelBuild(found, at), at),
        () => other.claim(build.id, 1, at),
        () => other.remove(build.id),
        () => stage.events.within(project).read(build.id, { follow: false }),
      ]) {
        await assert.rejects(operation(), isProblem('build-not-found'))
      }
      await assert.rejects(other.create(newBuild(), at), TypeError)
    }
    assert.deepEqual(await stage.repository.get(build.id), build)
    assert.ok(await stage.events.within(ownProject).read(build.id, { follow: false }))
  })

  it('lists the builds of one project, and those of all to workers', async () => {
    const build = newBuild({ labels: { site: 'two' } })
    await stage.repository.create(build, at)
    const [other, ofOtherTenant] = otherProjects.map((project) =>
      newBuild({ ...project, labels: { site: 'two' } }),
    )
    assert.ok(other !== undefined && ofOtherTenant !== undefined)
    for (const theirs of [other, ofOtherTenant]) await stage.repository.create(theirs, at)
    const queries = [{}, { state: 'queued' }, { target: 'iso' }, { label: 'site=two' }] as const
    for (const theirs of [other, ofOtherTenant]) {
      for (const query of queries) {
        const { items } = await stage.repository.within(theirs).list({ ...query, limit: 10 })
        assert.deepEqual(items, [theirs])
      }
      // The place of another project's build is no more than a time.
      const cursor = uuidv7()
      const { items } = await stage.repository.within(theirs).list({ limit: 10, cursor })
      assert.deepEqual(items, [theirs])
    }
    const { items } = await stage.repository.list({ state: 'queued', label: 'site=two', limit: 10 })
    assert.deepEqual(
      items.map(({ id }) => id).sort(),
      [build, other, ofOtherTenant].map(({ id }) => id),
    )
  })

  it('finds an equal ISO in the same project alone', async () => {
    const key = 'e'.repeat(64)
    const build = finishBuild(startBuild(newBuild(), at), { state: 'succeeded', artifacts: [], key }, at)
    await stage.repository.create(build, at)
    assert.deepEqual(await stage.repository.within(ownProject).findByKey(key), build)
    for (const project of otherProjects) {
      assert.equal(await stage.repository.within(project).findByKey(key), undefined)
    }
    await assert.rejects(stage.repository.findByKey(key), TypeError)
  })

  it('archives a build in the store of its project, and reads its events there', async () => {
    const [project] = otherProjects
    assert.ok(project)
    const build = newBuild(project)
    await stage.repository.create(build, at)
    const parts = { ...stage, streamTtlSeconds: 0 }
    await concludeBuild(parts, build.id, (found) => cancelBuild(found, at), at)
    assert.ok(await stage.stores.of(project).stat(archiveKey.record(build.id)))
    assert.equal(await stage.store.stat(archiveKey.record(build.id)), undefined)
    // Its stream has expired.
    const events = await stage.events.within(project).read(build.id, { follow: false })
    const states = (await Array.fromAsync(events)).map(({ event }) => event.type === 'state' && event.state)
    assert.deepEqual(states, ['queued', 'canceled'])
    const again = await stage.repository.update(build.id, retryBuild, at)
    assert.deepEqual([again.tenant, again.project], [project.tenant, project.project])
  })

  it('does not find the fleets of another project', async () => {
    const fleets = new FleetRepository(stage.redis)
    const id = uuidv7()
    const fleet = { id, ...ownProject, createdAt: at.toISOString(), sites: 1 }
    const own = fleets.within(ownProject)
    await own.create(fleet)
    const build = newBuild({ fleet: { id, site: 'one' } })
    await stage.repository.create(build, at)
    for (const project of otherProjects) {
      const other = fleets.within(project)
      assert.equal(await other.find(id), undefined)
      assert.equal(await other.readFlags(id), undefined)
      await assert.rejects(other.get(id), isProblem('fleet-not-found'))
      await assert.rejects(other.cancel(id), isProblem('fleet-not-found'))
      assert.deepEqual((await other.list({ limit: 10 })).items, [])
      assert.deepEqual(await Array.fromAsync(other.builds(id)), [])
      await assert.rejects(other.create(fleet), TypeError)
      await other.remove(id)
    }
    assert.equal((await own.get(id)).builds.queued, 1)
    assert.deepEqual(
      (await own.list({ limit: 10 })).items.map((one) => one.id),
      [id],
    )
    assert.deepEqual(await fleets.find(id), fleet)
    await own.remove(id)
    assert.deepEqual((await own.list({ limit: 10 })).items, [])
  })

  it('lets each project make the same at the same time', async () => {
    const take = (project: typeof ownProject) =>
      takeFlight({ redis: stage.redis, project, key: 'root:one', ttlMs: 10_000, onError: fail })
    await using first = await take(ownProject)
    assert.ok(first)
    assert.equal(await take(ownProject), undefined)
    for (const project of otherProjects) {
      await using another = await take(project)
      assert.ok(another)
    }
  })
})
