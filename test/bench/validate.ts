import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openDirectoryStore } from '@edgesmith/store/directory-store'
import { startServiceProcess } from '../../deploy/setup/service-process.ts'
import { repositoryDirectory } from '../../deploy/setup/paths.ts'
import { agentTo } from '../support/as-gateway.ts'
import { ownProject } from '../support/projects.ts'
import { tlsDirectoryOf } from '../support/service-certificates.ts'

const execute = promisify(execFile)
const size = 40 * 1024
const warmUp = 300
const requests = 2000

/** Runs on these CPUs from now on, and so does what is started from here. */
async function pinTo(cpus: string): Promise<void> {
  await execute('taskset', ['--all-tasks', '--cpu-list', '--pid', cpus, String(process.pid)])
}

async function makeCertificate(directory: string): Promise<string> {
  const file = join(directory, 'ca.pem')
  await execute('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '90', '-subj', '/CN=registry.example.com'],
    ...['-keyout', join(directory, 'ca.key'), '-out', file],
  ])
  return readFile(file, 'utf8')
}

function indent(text: string, by: number): string {
  return text.trim().replaceAll(/^/gm, ' '.repeat(by))
}

/** A user-data of 40 KiB that gives every part of the validator something to do. */
function makeUserData(certificate: string): string {
  const head = `#cloud-config
stylus:
  site:
    paletteEndpoint: api.spectrocloud.com
    edgeHostToken: aUAxxxxxxxxx0ChYCrO
    projectName: stores
    name: store-0042
    tags: { region: emea, city: berlin }
    network:
      httpProxy: http://proxy.example.com:3128
      noProxy: 10.10.128.10,10.0.0.0/8
      nameserver: 1.1.1.1
      interfaces:
        enp0s3: { type: static, ipAddress: 10.0.10.25/24, gateway: 10.0.10.1, nameserver: 10.10.128.8 }
        enp0s4: { type: dhcp }
    caCerts:
${Array.from({ length: 8 }, () => `      - |\n${indent(certificate, 8)}`).join('\n')}
  registryCredentials:
    domain: registry.example.com
    username: bob
    password: not-a-secret
    insecure: false
install:
  poweroff: true
  bind_mounts: [/var/lib/docker]
users:
  - name: kairos
    passwd: kairos
stages:
  initramfs:
    - users: { kairos: { groups: [sudo], passwd: kairos } }
  network.after:
`
  const step = (index: number) => `    - name: Configure service ${index}
      if: "[ -d /etc/systemd ]"
      commands:
        - systemctl enable service-${index}.service
      files:
        - path: /etc/edge/service-${index}.conf
          permissions: 0644
          content: |
${indent('key = value of a setting that is as long as such lines are\n'.repeat(8), 12)}
`
  let text = head
  for (let index = 0; text.length + step(index).length <= size; index += 1) text += step(index)
  return text
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/**
 * A user-data of 40 KiB with all its rules, and the arguments of a build, asked of a validation service
 * that has one core: `p99Ms` is the time of an answer when one is asked for at a time, `requestsPerSecond`
 * what four connections get together.
 */
export async function run(): Promise<Record<string, number>> {
  await using resources = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-bench-'))
  resources.defer(() => rm(directory, { recursive: true, force: true }))
  const repository = join(directory, 'canvos.git')
  await execute(join(repositoryDirectory, 'deploy/fixture/make-repository.sh'), [repository])
  const objects = join(directory, 'objects')
  const store = await openDirectoryStore(objects)
  const userData = makeUserData(await makeCertificate(directory))
  await store.put('uploads/data/user-data', Buffer.from(userData))

  const everywhere = `0-${availableParallelism() - 1}`
  await pinTo('0')
  const service = resources.use(
    await startServiceProcess({
      service: 'validation',
      awaited: 'validation',
      logFile: join(directory, 'validation.log'),
      env: {
        LOG_LEVEL: 'info',
        VALIDATION_PORT: '0',
        VALIDATION_INTERNAL_PORT: '0',
        SERVICE_TLS_DIRECTORY: tlsDirectoryOf('validation'),
        OBJECT_STORE: 'directory',
        OBJECT_DIRECTORY: objects,
        CANVOS_REPOSITORY: repository,
        CANVOS_MIRROR_DIRECTORY: join(directory, 'mirror.git'),
      },
    }),
  )
  await pinTo(availableParallelism() > 1 ? `1-${availableParallelism() - 1}` : everywhere)
  resources.defer(() => pinTo(everywhere))

  const body = JSON.stringify({
    project: ownProject,
    spec: {
      canvos: { tag: 'v4.10.0' },
      arguments: { ARCH: 'amd64', OS_DISTRIBUTION: 'ubuntu', OS_VERSION: '22.04' },
    },
    inputs: [
      {
        role: 'userData',
        pointer: '/inputs/userData',
        objectKey: 'uploads/data/user-data',
        contentId: `sha256:${createHash('sha256').update(userData).digest('hex')}`,
        size: Buffer.byteLength(userData),
        kind: 'cloud-config',
      },
    ],
  })
  const agent = resources.adopt(agentTo('validation'), (opened) => opened.close())
  const ask = async () => {
    const startedAt = performance.now()
    const response = await agent.request({
      origin: service.internalUrl ?? '',
      method: 'POST',
      path: '/internal/validations',
      headers: { 'content-type': 'application/json' },
      body,
    })
    const { diagnostics } = (await response.body.json()) as { diagnostics?: { code: string }[] }
    if (
      response.statusCode !== 200 ||
      diagnostics?.some(({ code }) => code.startsWith('user-data.')) !== true
    )
      throw new Error(
        `The validation service answered ${response.statusCode} without the diagnostics expected.`,
      )
    return performance.now() - startedAt
  }
  for (let count = 0; count < warmUp; count += 1) await ask()
  const times: number[] = []
  for (let count = 0; count < requests; count += 1) times.push(await ask())

  const startedAt = performance.now()
  let left = requests
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (left-- > 0) await ask()
    }),
  )
  const seconds = (performance.now() - startedAt) / 1000
  return {
    userDataBytes: Buffer.byteLength(userData),
    p50Ms: Math.round(percentile(times, 0.5) * 100) / 100,
    p99Ms: Math.round(percentile(times, 0.99) * 100) / 100,
    requestsPerSecond: Math.round(requests / seconds),
  }
}
