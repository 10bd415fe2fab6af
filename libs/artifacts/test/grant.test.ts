import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { claimUse, createGrant, grantState, revokeGrant, sweepExpiredGrants } from '../src/grant.ts'
import { openStores, type OpenStores } from './stores.ts'

const artifactId = '01939c6b-77d2-7a54-8f0e-5e2f3b9c4d22'
const otherId = '01939c6b-77d2-7a54-8f0e-5e2f3b9c4d23'
const minutes = (count: number) => new Date(Date.now() + count * 60_000)

for (const [name, open] of Object.entries(openStores)) {
  describe(`grants of signed URLs, ${name}`, () => {
    let opened: OpenStores
    let store: ObjectStore
    let other: ObjectStore

    before(async () => {
      opened = await open()
      ;[store, other] = opened.stores
    })
    after(() => opened[Symbol.asyncDispose]())

    const create = (expiresAt = minutes(1)) => createGrant(store, { artifactId, expiresAt })
    const keys = async (id: string) =>
      (await Array.fromAsync(store.list(`grants/${id}/`))).map(({ key }) => key)

    it('allow as many uses as they have, however many ask in however many processes', async () => {
      const id = await create()
      const claims = await Promise.all(
        Array.from({ length: 50 }, (_, index) => claimUse(index % 2 === 0 ? store : other, id, 3)),
      )
      assert.equal(claims.filter(Boolean).length, 3)
      assert.equal(await grantState(store, id, 3), 'used-up')
      assert.equal(await claimUse(store, id, 3), false)
    })

    it('are live until the last use, and without a limit always', async () => {
      const id = await create()
      assert.equal(await grantState(store, id, 2), 'live')
      assert.ok(await claimUse(store, id, 2))
      assert.equal(await grantState(other, id, 2), 'live')
      assert.ok(await claimUse(other, id, 2))
      assert.equal(await grantState(store, id, 2), 'used-up')
      assert.equal(await grantState(store, id, undefined), 'live')
    })

    it('are revoked for good, by the artifact they are for', async () => {
      const id = await create()
      assert.equal(await revokeGrant(store, otherId, id), false)
      assert.equal(await grantState(store, id, 1), 'live')
      assert.equal(await revokeGrant(store, artifactId, id), true)
      assert.equal(await revokeGrant(store, artifactId, id), true)
      assert.equal(await grantState(other, id, 1), 'revoked')
      assert.equal(await grantState(other, id, undefined), 'revoked')
      assert.equal(await revokeGrant(store, artifactId, otherId), false)
    })

    it('leave nothing an hour after they expired, and are kept until then', async () => {
      const [live, old] = [await create(minutes(30)), await create(minutes(-30))]
      for (const id of [live, old]) {
        assert.ok(await claimUse(store, id, 2))
        await revokeGrant(store, artifactId, id)
      }
      await sweepExpiredGrants(store, minutes(0))
      assert.equal((await keys(old)).length, 3)
      assert.ok((await sweepExpiredGrants(store, minutes(45))) >= 1)
      assert.deepEqual(await keys(old), [])
      assert.equal((await keys(live)).length, 3)
      assert.equal(await grantState(store, live, 2), 'revoked')
    })

    it('leave no marks whose record is gone', async () => {
      const id = await create()
      assert.ok(await claimUse(store, id, 2))
      await store.remove(`grants/${id}/grant.json`)
      await sweepExpiredGrants(store, minutes(7 * 24 * 60))
      assert.equal((await keys(id)).length, 1)
      await sweepExpiredGrants(store, minutes(9 * 24 * 60))
      assert.deepEqual(await keys(id), [])
    })
  })
}
