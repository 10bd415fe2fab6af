import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { mkdtemp, rm, writeFile, chmod } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { randomUUID } from 'node:crypto'
import { openDocker } from '@edgesmith/engine/docker'
import { fromSetUp } from './environment.ts'

const run = promisify(execFile)

/** A registry that has the fixture's images, for those alone who have its user's password. */
export type PrivateRegistry = AsyncDisposable & {
  /** `host:port`. */
  readonly address: string
  /** That of the fixture's own, which asks nobody for a password. */
  readonly open: string
  readonly username: string
  readonly password: string
}

/** bcrypt, of which a registry's `htpasswd` file is made, by the C library that Debian's Perl uses. */
async function bcrypt(password: string): Promise<string> {
  const { stdout } = await run('perl', [
    '-e',
    'print crypt($ARGV[0], q($2y$05$abcdefghijklmnopqrstuu))',
    password,
  ])
  return stdout
}

/** Starts the fixture's registry once more, over the same images, with a password. */
export async function startPrivateRegistry(): Promise<PrivateRegistry> {
  await using resources = new AsyncDisposableStack()
  const docker = openDocker({ host: fromSetUp('DOCKER_HOST'), certificateDirectory: undefined })
  const fixture = await docker.getContainer('edgesmith-fixture-registry').inspect()
  const [volume] = fixture.Mounts
  const open =
    fixture.Config.Env.find((entry) => entry.startsWith('REGISTRY_HTTP_ADDR='))?.split('=')[1] ?? ''
  const host = open.slice(0, open.lastIndexOf(':'))
  const address = `${host}:${await freePort(host)}`
  const [username, password] = ['robot', `canary-registry-${randomUUID()}`]

  const directory = await mkdtemp(join(tmpdir(), 'edgesmith-registry-'))
  resources.defer(() => rm(directory, { recursive: true }))
  await writeFile(join(directory, 'htpasswd'), `${username}:${await bcrypt(password)}\n`)
  await chmod(directory, 0o755)
  const container = await docker.createContainer({
    Image: fixture.Config.Image,
    Cmd: fixture.Config.Cmd,
    User: fixture.Config.User,
    Env: [
      `REGISTRY_HTTP_ADDR=${address}`,
      'REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/var/lib/registry',
      'REGISTRY_AUTH=htpasswd',
      'REGISTRY_AUTH_HTPASSWD_REALM=test',
      'REGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd',
      'OTEL_TRACES_EXPORTER=none',
    ],
    HostConfig: {
      NetworkMode: 'host',
      Mounts: [
        { Type: 'volume', Source: volume?.Name ?? '', Target: '/var/lib/registry', ReadOnly: true },
        { Type: 'bind', Source: directory, Target: '/auth', ReadOnly: true },
      ],
    },
  })
  resources.defer(() => container.remove({ force: true }))
  await container.start()
  for (let tries = 0; !(await answers(address)); tries += 1) {
    if (tries > 200) throw new Error(`There is no registry on ${address}.`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const opened = resources.move()
  return { address, open, username, password, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** True once the registry asks for a password. */
async function answers(address: string): Promise<boolean> {
  const response = await fetch(`http://${address}/v2/`).catch(() => undefined)
  return response?.status === 401
}

async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
