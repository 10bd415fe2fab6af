import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { buffer } from 'node:stream/consumers'
import { labelFilter } from '@edgesmith/engine/labels'
import { takeEntries } from '@edgesmith/engine/archive'
import { openKeyring } from '@edgesmith/secrets/keys'
import { sealArguments } from '@edgesmith/secrets/sealed-arguments'
import { putSecret, removeSecret, type Vault } from '@edgesmith/secrets/secret-store'
import { startPrivateRegistry, type PrivateRegistry } from '../../../test/support/private-registry.ts'
import { ownProject } from '../../../test/support/projects.ts'
import { startBuilder } from '../src/service.ts'
import { Harness } from './harness.ts'
import { makeTrialRepository } from './trial-repository.ts'

describe('The secrets of a build', () => {
  const stack = new AsyncDisposableStack()
  const canaries = {
    token: `canary-token-${randomUUID()}`,
    site: `canary-site-${randomUUID()}`,
    proxy: `canary-proxy-${randomUUID()}`,
    userData: `canary-user-data-${randomUUID()}`,
  }
  let harness: Harness
  let vault: Vault
  let registry: PrivateRegistry
  before(async () => {
    registry = stack.use(await startPrivateRegistry())
    const repository = stack.use(await makeTrialRepository())
    const key = randomBytes(32).toString('base64')
    harness = stack.use(
      await Harness.open({
        CANVOS_REPOSITORY: repository.path,
        SECRETS_KEYS: key,
        INSECURE_REGISTRIES: `${registry.open},${registry.address}`,
      }),
    )
    vault = { project: ownProject, store: harness.store, keyring: await openKeyring(harness.config.secrets) }
    stack.use(await startBuilder(harness.config))
    const at = new Date()
    const { username, password } = registry
    await putSecret(vault, 'pro', { kind: 'ubuntu-pro', token: canaries.token }, at)
    await putSecret(vault, 'site', { kind: 'opaque', value: `first line\n${canaries.site}\n` }, at)
    await putSecret(vault, 'mine', { kind: 'registry', registry: registry.address, username, password }, at)
  })
  after(() => stack.disposeAsync())

  const all = () => [...Object.values(canaries), registry.password]

  function assertNone(text: string, where: string): void {
    for (const canary of all()) {
      for (const form of [
        canary,
        Buffer.from(canary).toString('base64').slice(0, 24),
        encodeURIComponent(canary),
      ])
        assert.ok(!text.includes(form), `${form} in ${where}`)
    }
  }

  it('reach the Earthfile, and nobody else', async () => {
    const proxy = `http://user:${canaries.proxy}@127.0.0.1:1`
    const id = await harness.submit({
      arguments: {
        BEHAVIOUR: 'secret',
        MARKER: createHash('sha256').update(canaries.token).digest('hex'),
        ...sealArguments(vault, { HTTPS_PROXY: proxy }).arguments,
      },
      sealedArguments: sealArguments(vault, { HTTPS_PROXY: proxy }).sealedArguments,
      secrets: { ubuntuPro: 'pro', earthly: { SITE_KEY: 'site' }, registries: ['mine'] },
      inputs: {
        userData: await harness.upload(
          `#cloud-config\nstylus:\n  site:\n    edgeHostToken: ${canaries.userData}\n`,
        ),
      },
    })
    // The step sleeps behind this line.
    await harness.until(id, (event) => event.type === 'log' && event.line.includes('proxy http'))
    const containers = await harness.docker.listContainers({ filters: labelFilter({ buildId: id }) })
    assert.equal(containers.length, 1)
    const client = harness.docker.getContainer(containers[0]?.Id ?? '')
    const inspected = await client.inspect()
    assertNone(JSON.stringify([inspected, await (await harness.daemon()).inspect()]), 'docker inspect')
    assertNone(
      JSON.stringify(await harness.docker.getVolume(inspected.Mounts[0]?.Name ?? '').inspect()),
      'a volume',
    )
    const { exposed, seen } = await environments(inspected.State.Pid)
    assert.ok(seen > 0)
    assertNone(exposed, 'processes of the client')
    const files: string[] = []
    for await (const { path, type, body } of takeEntries(client, '/build')) {
      const content = type === 'file' ? (await buffer(body)).toString('latin1') : ''
      // CanvOS has no other way for a proxy than its `.arg`.
      if (path !== 'build/workspace/.arg') assertNone(content, path)
      else files.push(content)
    }
    assert.ok(files[0]?.includes(`HTTPS_PROXY=`) === true && files[0].includes(canaries.proxy))
    for (const canary of [canaries.token, canaries.site, registry.password])
      assert.ok(!files[0].includes(canary))

    const build = await harness.ended(id)
    assert.equal(build.failure?.type, 'urn:edgesmith:problem:target-failed')
    const log = await harness.log(id)
    assert.ok(
      log.some((line) => line.endsWith('| the token is right')),
      log.join('\n'),
    )
    assert.ok(
      log.some((line) => line.endsWith('| token: ***')),
      log.join('\n'),
    )
    assert.ok(
      log.some((line) => line.includes('HTTPS_PROXY=http://user:***@127.0.0.1:1 ')),
      log.join('\n'),
    )
    assertNone(JSON.stringify(log), 'the log')
    assertNone(JSON.stringify(build), 'the record')
    // Twelve characters a line: the end of one and the beginning of the next are masked as well.
    for (let at = 0; at + 12 <= canaries.token.length; at += 12)
      assert.ok(!log.some((line) => line.includes(canaries.token.slice(at, at + 12))), `${at}`)
  })

  it('pull from a registry that asks for a password, which nobody does without', async () => {
    const mirror = { SPECTRO_PUB_REPO: `${registry.address}/palette-images` }
    const without = await harness.ended(
      await harness.submit({ arguments: { BEHAVIOUR: 'no-output', ...mirror } }),
    )
    assert.equal(without.failure?.type, 'urn:edgesmith:problem:image-unavailable')
    assert.match(without.failure.detail, /401 Unauthorized/)
    const id = await harness.submit({
      arguments: { BEHAVIOUR: 'no-output', ...mirror },
      secrets: { registries: ['mine'] },
    })
    const { failure } = await harness.ended(id)
    // It built, and left no ISO, as asked.
    assert.equal(failure?.type, 'urn:edgesmith:problem:no-output', JSON.stringify(failure))
    const log = await harness.log(id)
    assert.ok(!log.some((line) => line.includes('does not tell its digest')), log.join('\n'))
  })

  it('are told by name when they are gone, before anything runs', async () => {
    await putSecret(vault, 'passing', { kind: 'ubuntu-pro', token: 'canary-passing' }, new Date())
    await removeSecret(vault, 'passing')
    const id = await harness.submit({
      arguments: { BEHAVIOUR: 'no-output' },
      secrets: { ubuntuPro: 'passing' },
    })
    const { failure } = await harness.ended(id)
    assert.equal(failure?.type, 'urn:edgesmith:problem:secret-unavailable')
    assert.match(failure.detail, /passing/)
  })
})

/** Command lines and environments of a process and those below it. */
async function environments(root: number): Promise<{ exposed: string; seen: number }> {
  const below = new Set([root])
  const pieces: string[] = []
  for (const entry of (await readdir('/proc'))
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(a) - Number(b))) {
    const status = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '')
    const parent = Number(status.slice(status.lastIndexOf(')') + 4).split(' ')[0])
    if (!below.has(Number(entry)) && !below.has(parent)) continue
    below.add(Number(entry))
    for (const file of ['cmdline', 'environ']) {
      pieces.push(await readFile(`/proc/${entry}/${file}`, 'latin1').catch(() => ''))
    }
  }
  return { exposed: pieces.join('\0'), seen: below.size }
}
