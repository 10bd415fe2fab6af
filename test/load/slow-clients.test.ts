import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runSlowClients } from './slow-clients.ts'

describe('200 slow uploads, 200 slow downloads and 200 event streams that are silent', () => {
  it('are all served, in memory that is bounded', async () => {
    const report = await runSlowClients({ clients: 200, seconds: 20, bytesPerSecond: 32 * 1024 })
    assert.deepEqual(report.faults, [])
    const { gateway, artifact } = report.memory
    // What has come of an upload is held until it is a part, or all.
    const held = report.uploadedMiB
    assert.ok(gateway.most - gateway.before < held + 128, `gateway: ${gateway.before} to ${gateway.most} MiB`)
    assert.ok(artifact.most - artifact.before < 64, `artifact: ${artifact.before} to ${artifact.most} MiB`)
  })
})
