import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ProblemError, type ProblemCode } from '@edgesmith/contract/problem'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { ensureDefaultTenant, listProjects, listTenants, type Tenants } from '../src/tenants.ts'
import { startReplicas, type Replicas } from './replicas.ts'

function isProblem(code: ProblemCode): (error: unknown) => boolean {
  return (error) => error instanceof ProblemError && error.code === code
}

describe('tenants', () => {
  let directory: string
  let store: ObjectStore
  let replicas: Replicas
  let first: Tenants
  let second: Tenants
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-identity-'))
    store = await openDirectoryStore(path.join(directory, 'objects'))
    replicas = await startReplicas(path.join(directory, 'redis'), store)
    first = replicas.first.tenants
    second = replicas.second.tenants
  })
  after(async () => {
    await replicas[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  it('begin with the default one, which stays as it is at the next start', async () => {
    await ensureDefaultTenant(store)
    await first.change('default', { weight: 7 })
    await ensureDefaultTenant(store)
    const [only, ...others] = await listTenants(store)
    assert.deepEqual([only?.id, only?.weight, others], ['default', 7, []])
    assert.deepEqual(await listProjects(store), [{ tenant: 'default', project: 'default' }])
    await assert.rejects(first.remove('default'), isProblem('tenant-in-use'))
  })

  it('are changed by all replicas at once without losing a change', async () => {
    await first.create({ id: 'acme', name: 'Acme', limits: { queuedBuilds: 3 } })
    const names = Array.from({ length: 12 }, (_, index) => `project-${index}`)
    await Promise.all(
      names.map((project, index) =>
        (index % 2 === 0 ? first : second).addProject({ tenant: 'acme', project }),
      ),
    )
    const seen = await second.require('acme')
    assert.deepEqual(seen.projects.map(({ id }) => id).sort(), ['default', ...names].sort())
    assert.deepEqual(seen.limits, { queuedBuilds: 3 })
    await assert.rejects(
      first.addProject({ tenant: 'acme', project: 'default' }),
      isProblem('project-exists'),
    )
    assert.equal((await listProjects(store)).length, 14)
  })

  it('show other replicas a change at once', async () => {
    assert.equal((await second.require('acme')).name, 'Acme')
    await first.change('acme', { name: 'Acme Stores' })
    assert.equal((await second.require('acme')).name, 'Acme Stores')
    await first.markProject({ tenant: 'acme', project: 'project-3' }, { removing: true })
    const marked = (await second.require('acme')).projects.find(({ id }) => id === 'project-3')
    assert.equal(marked?.removing, true)
  })

  it('are removed once they have no project, and their names are not used again', async () => {
    await first.create({ id: 'gone', name: 'Gone' })
    await assert.rejects(first.remove('gone'), isProblem('tenant-in-use'))
    await first.dropProject({ tenant: 'gone', project: 'default' })
    await first.remove('gone')
    assert.equal(await second.find('gone'), undefined)
    assert.ok(!(await listTenants(store)).some(({ id }) => id === 'gone'))
    await assert.rejects(second.create({ id: 'gone', name: 'Again' }), isProblem('tenant-exists'))
    await assert.rejects(second.change('gone', { weight: 1 }), isProblem('tenant-not-found'))
  })
})
