import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import type { Build } from '@edgesmith/contract/build'
import { openDocker } from '@edgesmith/engine/docker'
import { labelNames } from '@edgesmith/engine/labels'
import type { ObjectStore } from '@edgesmith/store/object-store'
import { openStore } from '@edgesmith/store/open-store'
import { ApiClient } from '../../deploy/quickstart/api-client.ts'
import { removeStack } from '../../deploy/stack/remove.ts'
import { stackWorkerId, startStack, type RunningStack } from '../../deploy/stack/stack.ts'
import { makeAlteredFixture } from '../../services/builder/test/trial-repository.ts'
import { Lookout } from '../support/canaries.ts'
import { fromSetUp } from '../support/environment.ts'
import { startPrivateRegistry, type PrivateRegistry } from '../support/private-registry.ts'
import { serviceEnvironment } from './environment.ts'

/** What a careless Earthfile does with what it gets: it prints all of it, and tries to hand it on. */
function careless(earthfile: string): string {
  return earthfile
    .replace('ARG DEBUG=false', 'ARG DEBUG=false\nARG UBUNTU_PRO_ATTACH=false')
    .replace(
      '    COPY --if-exists certs/ /usr',
      `    IF [ "$UBUNTU_PRO_ATTACH" = "true" ]
        RUN --no-cache --secret UBUNTU_PRO_KEY --secret PALETTE --secret SITE \\
            env | sort && env | base64 && env | od -An -tx1 | tr -d ' \\n' && echo "$SITE" | fold -w 17 && sleep 2
    END
    COPY --if-exists certs/ /usr`,
    )
    .replace(
      'RUN if [ -f /user-data ]',
      `RUN --no-cache if [ "$DEBUG" = "true" ]; then cat /user-data && base64 /user-data && exit 9; fi
    RUN if [ -f /user-data ]`,
    )
}

const canary = (name: string) => `canary-${name}-${randomUUID()}`

describe('Canaries in every input and secret', () => {
  const resources = new AsyncDisposableStack()
  const docker = openDocker({ host: fromSetUp('DOCKER_HOST'), certificateDirectory: undefined })
  const canaries: Record<string, string> = {
    token: canary('edge-host-token'),
    registryInUserData: canary('registry-credentials'),
    passwordInUserData: canary('user-password'),
    bearerInUserData: canary('bearer'),
    proxyInUserData: canary('user-data-proxy'),
    proxy: canary('proxy'),
    proxyOfSpec: canary('spec-proxy'),
    pro: canary('ubuntu-pro'),
    palette: canary('palette'),
    site: canary('opaque'),
    siteToken: canary('site-token'),
    templatePassword: canary('template-password'),
    refusedToken: canary('refused-token'),
    refusedArgument: canary('refused-argument'),
    idempotency: canary('idempotency'),
  }
  const privateKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString()
    .trim()
  canaries['privateKey'] = privateKey.split('\n')[1] ?? ''
  const answers: { where: string; text: string }[] = []
  let directory: string
  let stack: RunningStack
  let registry: PrivateRegistry
  let lookout: Lookout
  let key: string
  let events = ''
  const builds: Record<string, Build> = {}

  /** A request of the API; its answer is looked at like all others. */
  async function call(
    method: string,
    where: string,
    body?: object | FormData,
    headers: Record<string, string> = {},
  ) {
    const isForm = body instanceof FormData
    const response = await fetch(`${stack.urls.gateway}${where}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined || isForm ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    answers.push({ where: `${method} ${where}`, text: `${JSON.stringify([...response.headers])}\n${text}` })
    return { status: response.status, text, json: (): unknown => JSON.parse(text) }
  }

  const userData = () => `#cloud-config
# ${'This is longer than the room that a base has for user-data. '.repeat(80)}
stylus:
  site:
    edgeHostToken: ${canaries['token'] ?? ''}
    paletteEndpoint: api.spectrocloud.com
    name: store-0042
    network:
      httpsProxy: http://user:${canaries['proxyInUserData'] ?? ''}@proxy.example.com:3128
  registryCredentials:
    domain: registry.example.com/images
    username: robot
    password: "${canaries['registryInUserData'] ?? ''}"
    insecure: false
stages:
  initramfs:
    - users:
        kairos:
          passwd: ${canaries['passwordInUserData'] ?? ''}
    - commands:
        - 'curl -H "Authorization: Bearer ${canaries['bearerInUserData'] ?? ''}" https://example.com/'
    - files:
        - path: /etc/key.pem
          content: |
${privateKey
  .split('\n')
  .map((line) => `            ${line}`)
  .join('\n')}
`

  function form(spec: object, argFile = ''): FormData {
    const body = new FormData()
    body.set('spec', JSON.stringify(spec))
    body.set('userData', new Blob([userData()]), 'user-data')
    if (argFile !== '') body.set('argFile', new Blob([argFile]), '.arg')
    return body
  }

  const base = { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' }
  const secrets = { registries: ['mine'], ubuntuPro: 'pro', earthly: { PALETTE: 'palette', SITE: 'site' } }
  const specOf = (own: object) => ({
    canvos: { tag: 'v4.10.0' },
    cache: 'bypass',
    arguments: {
      ...base,
      SPECTRO_PUB_REPO: `${registry.address}/palette-images`,
      UBUNTU_PRO_ATTACH: true,
      HTTP_PROXY: `http://user:${canaries['proxyOfSpec'] ?? ''}@127.0.0.1:1`,
      ...own,
    },
    secrets,
  })
  const argFile = () => `HTTPS_PROXY=http://user:${canaries['proxy'] ?? ''}@127.0.0.1:1\n`

  /** Looks at the machine again and again until something is done. */
  async function lookingOn<T>(work: Promise<T>): Promise<T> {
    const done = work.finally(() => (isDone = true))
    let isDone = false
    done.catch(() => undefined)
    while (!(isDone as boolean)) {
      const [daemon] = await docker.listContainers({
        filters: {
          label: [`${labelNames.worker}=${stackWorkerId(directory)}`, `${labelNames.role}=buildkit`],
        },
      })
      const pid =
        daemon === undefined
          ? -1
          : await docker
              .getContainer(daemon.Id)
              .inspect()
              .then(
                ({ State }) => State.Pid,
                () => -1,
              )
      await lookout.lookAtDocker(docker)
      // A step of the Earthfile has in its environment what the Earthfile asks for, and Earthly hands it the
      // arguments of the build; both are seen by root alone.
      await lookout.lookAtProcesses((ancestors) =>
        ancestors.includes(pid) ? ['pro', 'palette', 'site', 'proxy', 'proxyOfSpec'] : [],
      )
    }
    return done
  }

  async function ended(id: string): Promise<Build> {
    await call('GET', `/v1/builds/${id}/events`)
    return (await call('GET', `/v1/builds/${id}`)).json() as Build
  }

  before(async () => {
    registry = resources.use(await startPrivateRegistry())
    canaries['registry'] = registry.password
    directory = await mkdtemp(path.join(tmpdir(), 'edgesmith-canaries-'))
    resources.defer(() => rm(directory, { recursive: true, force: true }))
    resources.defer(() => removeStack(directory))
    const repository = resources.use(await makeAlteredFixture(careless))
    const { BOOTSTRAP_API_KEY: _unused, ...environment } = await serviceEnvironment()
    stack = resources.use(
      await startStack({
        directory,
        env: {
          ...environment,
          CANVOS_REPOSITORY: repository.path,
          INSECURE_REGISTRIES: `${environment['INSECURE_REGISTRIES'] ?? ''},${registry.address}`,
          USER_DATA_RESERVE_BYTES: '4096',
          LOG_LEVEL: 'trace',
        },
      }),
    )
    key = (await readFile(stack.apiKeyFile, 'utf8')).trim()
    canaries['apiKey'] = key.slice(key.lastIndexOf('_') + 1)
    lookout = new Lookout(canaries)
    const stream = await docker.getEvents({})
    stream.on('data', (chunk: Buffer) => (events += chunk.toString()))
    resources.defer(() => {
      ;(stream as unknown as { destroy: () => void }).destroy()
    })
  })
  after(() => resources.disposeAsync())

  it('are taken as secrets, and not told again', async () => {
    const { username, password, address } = registry
    for (const [name, value] of Object.entries({
      mine: { kind: 'registry', registry: address, username, password },
      pro: { kind: 'ubuntu-pro', token: canaries['pro'] },
      palette: { kind: 'palette-api-key', apiKey: canaries['palette'] },
      site: { kind: 'opaque', value: `line one\n${canaries['site'] ?? ''}\n` },
    })) {
      assert.equal((await call('PUT', `/v1/secrets/${name}`, value)).status, 201)
      assert.equal((await call('PUT', `/v1/secrets/${name}`, value)).status, 200)
      assert.equal((await call('GET', `/v1/secrets/${name}`)).status, 200)
    }
    const { items } = (await call('GET', '/v1/secrets')).json() as { items: { state: string }[] }
    assert.deepEqual(
      items.map(({ state }) => state),
      ['usable', 'usable', 'usable', 'usable'],
    )
    assert.equal((await call('PUT', '/v1/secrets/short', { kind: 'opaque', value: 'short' })).status, 422)
  })

  it('are with a build that succeeds, and are in its ISO', async () => {
    const response = await call('POST', '/v1/builds', form(specOf({}), argFile()), {
      'idempotency-key': canaries['idempotency'] ?? '',
    })
    assert.equal(response.status, 202, response.text)
    const { id } = response.json() as Build
    builds['succeeds'] = await lookingOn(ended(id))
    assert.equal(builds['succeeds'].state, 'succeeded', JSON.stringify(builds['succeeds'].failure))
    const log = (await call('GET', `/v1/builds/${id}/logs`)).text
    assert.match(log, /PALETTE=\*\*\*/)
    assert.match(log, /HTTPS_PROXY=http:\/\/user:\*\*\*@127\.0\.0\.1:1/)
    const [artifact] = builds['succeeds'].artifacts
    assert.ok(artifact !== undefined)
    const url = await new ApiClient(stack.urls.gateway, key).createDownloadUrl(artifact)
    canaries['signature'] = new URL(url.url, stack.urls.gateway).searchParams.get('signature') ?? ''
    lookout = Object.assign(new Lookout(canaries), { looked: lookout.looked, sightings: lookout.sightings })
    const iso = await fetch(new URL(url.url, stack.urls.gateway))
    assert.ok(Buffer.from(await iso.arrayBuffer()).includes(canaries['token'] ?? ''), 'the ISO has the token')
    await (await fetch(`${String(new URL(url.url, stack.urls.gateway))}x`)).text()
  })

  it('are with a build that fails while it prints them', async () => {
    const { id } = (
      await call('POST', '/v1/builds', form(specOf({ DEBUG: true }), argFile()))
    ).json() as Build
    builds['fails'] = await lookingOn(ended(id))
    assert.equal(
      builds['fails'].failure?.failingTarget,
      '+validate-user-data',
      JSON.stringify(builds['fails']),
    )
    const log = (await call('GET', `/v1/builds/${id}/logs`)).text
    assert.match(log, /edgeHostToken: \*\*\*/)
    assert.match(log, /password: "\*\*\*"/)
    await call('POST', `/v1/builds/${id}/retry`)
    await call('POST', `/v1/builds/${id}/cancel`)
  })

  it('are with a fleet', async () => {
    const spec = {
      build: { ...specOf({}), cache: 'use' },
      userDataTemplate: `#cloud-config\nstylus:\n  site:\n    edgeHostToken: {{token}}\n    name: {{site}}\n    paletteEndpoint: api.spectrocloud.com\n  registryCredentials:\n    domain: registry.example.com\n    username: robot\n    password: ${canaries['templatePassword'] ?? ''}\n    insecure: false\n`,
      sites: ['store-1', 'store-2'].map((name) => ({ name, values: { token: canaries['siteToken'] } })),
    }
    const response = await call('POST', '/v1/fleets', spec)
    assert.equal(response.status, 202, response.text)
    const { id } = response.json() as { id: string }
    const { items } = (await call('GET', `/v1/fleets/${id}/sites`)).json() as { items: { buildId: string }[] }
    const made = await lookingOn(Promise.all(items.map(({ buildId }) => ended(buildId))))
    assert.deepEqual(
      made.map(({ state }) => state),
      ['succeeded', 'succeeded'],
      JSON.stringify(made.map(({ failure }) => failure)),
    )
    await call('GET', `/v1/fleets/${id}`)
    const refused = { ...spec, sites: [{ name: 'store-1', values: { token: [canaries['refusedToken']] } }] }
    assert.equal((await call('POST', '/v1/fleets', refused)).status, 422)
    const quoting = spec.userDataTemplate.replace('{{token}}', `["${canaries['refusedToken'] ?? ''}"]`)
    assert.equal((await call('POST', '/v1/fleets', { ...spec, userDataTemplate: quoting })).status, 422)
  })

  it('are in what is refused', async () => {
    const body = form(
      specOf({
        UBUNTU_PRO_KEY: canaries['refusedArgument'],
        ARCH: `x86://u:${canaries['refusedArgument'] ?? ''}@h`,
      }),
      argFile(),
    )
    body.set(
      'userData',
      new Blob([
        `#cloud-config\nstylus:\n  site:\n    edgeHostToken: [${canaries['refusedToken'] ?? ''}]\n    paletteEndpoint: "x:${canaries['refusedToken'] ?? ''}@y"\n`,
      ]),
      'user-data',
    )
    assert.equal((await call('POST', '/v1/builds', body)).status, 422)
    const again = form(specOf({}), `HTTPS_PROXY=http://u:${canaries['refusedArgument'] ?? ''}@h:$(id)\n`)
    assert.equal((await call('POST', '/v1/builds', again)).status, 422)
    const valid = (await call('POST', '/v1/validations', form(specOf({}), argFile()))).json() as {
      arguments: Record<string, string>
    }
    assert.equal(valid.arguments['HTTPS_PROXY'], 'http://user:***@127.0.0.1:1')
    for (const path of [
      '/v1/secrets/none',
      '/v1/builds/none',
      `/v1/nothing?signature=${canaries['signature'] ?? ''}`,
    ])
      await call('GET', path)
    const body2 = await fetch(`${stack.urls.gateway}/v1/builds`, {
      headers: { authorization: `Bearer ${key}x` },
    })
    assert.equal(body2.status, 401)
  })

  it('are found nowhere but in the inputs, and in what is made of them', async () => {
    for (const path of [
      '/v1/builds',
      '/v1/fleets',
      '/v1/secrets',
      ...Object.values(builds).flatMap(({ id, artifacts }) => [
        `/v1/builds/${id}`,
        `/v1/builds/${id}/events`,
        `/v1/builds/${id}/logs`,
        `/v1/builds/${id}/artifacts`,
        ...artifacts.map((artifact) => `/v1/artifacts/${artifact.id}`),
      ]),
    ])
      await call('GET', path)
    for (const { where, text } of answers) lookout.look('answer', where, text)

    for (const name of (await readdir(directory)).filter((file) => file.endsWith('.log')))
      lookout.look('log', name, await readFile(path.join(directory, name), 'utf8'))
    lookout.look('docker', 'events', events)
    for (const { Id, Names } of await docker.listContainers({ all: true }))
      lookout.look(
        'container log',
        Names.join(),
        await docker
          .getContainer(Id)
          .logs({ stdout: true, stderr: true })
          .then(
            (log) => log.toString('latin1'),
            () => '',
          ),
        // BuildKit tells which command failed, with the arguments that Earthly puts in front of it.
        Names.some((name) => name.endsWith('-buildkit')) ? ['proxy', 'proxyOfSpec'] : [],
      )

    const redis = openRedis(stack.redisUrl, {
      patience: 'brief',
      name: 'test',
      onError: (error) => {
        throw error
      },
    })
    try {
      for await (const keys of redis.scanStream({ count: 1000 }) as AsyncIterable<string[]>) {
        for (const name of keys) lookout.look('redis', name, `${name}\n${await contentOf(redis, name)}`)
      }
    } finally {
      await closeRedis(redis)
    }
    for (const name of await readdir(path.join(directory, 'redis'), { recursive: true })) {
      const content = await readFile(path.join(directory, 'redis', name), 'latin1').catch(() => '')
      lookout.look('redis file', name, content)
    }

    const kept = JSON.parse(await readFile(path.join(directory, 'secrets.json'), 'utf8')) as Record<
      string,
      string
    >
    const store = await openStore({
      kind: 'minio',
      endpoint: stack.urls.minio,
      accessKey: kept['minioAccessKey'] ?? '',
      secretKey: kept['minioSecretKey'] ?? '',
      bucket: 'edgesmith',
    })
    const holders = new Set<string>()
    for await (const { key: name } of store.list('')) {
      const content = await latin1Of(store, name)
      if (legitimate.test(name)) {
        if (lookout.in(content).length > 0) holders.add(name.replace(/[0-9a-f-]{32,}/g, '*'))
      } else lookout.look('object', name, `${name}\n${content}`)
    }
    // The inputs as they were sent, the user-data of a fleet's sites, and the images that have the user-data.
    assert.ok(
      [...holders].some((name) => name.includes('uploads/data/')),
      [...holders].join(),
    )

    assert.deepEqual(lookout.sightings, [])
    for (const kind of [
      'answer',
      'log',
      'docker',
      'redis',
      'redis file',
      'object',
      'container',
      'volume',
      'network',
      'process',
    ])
      assert.ok((lookout.looked.get(kind) ?? 0) > 0, kind)
  })
})

/** Objects that hold what was sent, and what is made of it: the uploads, images, and the user-data of fleets. */
const legitimate =
  /^projects\/default\/default\/(uploads\/data\/|bases\/[^/]+\/data$|artifacts\/[^/]+\/(data|head|tail|patch)|fleets\/[^/]+\/pack$)/

async function latin1Of(store: ObjectStore, name: string): Promise<string> {
  const bytes = await buffer(await store.get(name))
  return bytes.toString('latin1')
}

async function contentOf(redis: ReturnType<typeof openRedis>, name: string): Promise<string> {
  switch (await redis.type(name)) {
    case 'string':
      return (await redis.get(name)) ?? ''
    case 'hash':
      return JSON.stringify(await redis.hgetall(name))
    case 'list':
      return JSON.stringify(await redis.lrange(name, 0, -1))
    case 'set':
      return JSON.stringify(await redis.smembers(name))
    case 'zset':
      return JSON.stringify(await redis.zrange(name, '0', '-1'))
    case 'stream':
      return JSON.stringify(await redis.xrange(name, '-', '+'))
    default:
      return ''
  }
}
