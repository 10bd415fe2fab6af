import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { runCommand } from './command.ts'
import { ensureDebianPackages } from './debian-packages.ts'
import { stateDirectory } from './paths.ts'
import { say } from './progress.ts'

const systemSocket = 'unix:///var/run/docker.sock'
const startDeadlineMs = 60_000

/** No Docker-compatible daemon answers and none can be started; the message says what to do. */
export class DockerUnavailableError extends Error {
  override name = 'DockerUnavailableError'
}

/** Whether a daemon answers `GET /_ping` at an address in the form of DOCKER_HOST. */
async function answers(dockerHost: string): Promise<boolean> {
  const address = new URL(dockerHost)
  const target =
    address.protocol === 'unix:'
      ? { socketPath: address.pathname }
      : { host: address.hostname, port: address.port === '' ? 2375 : Number(address.port) }
  return new Promise((resolve) => {
    const ping = request({ ...target, path: '/_ping', timeout: 5000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    ping.on('timeout', () => ping.destroy(new Error('timeout')))
    ping.on('error', () => {
      resolve(false)
    })
    ping.end()
  })
}

function knownAddresses(): string[] {
  const given = process.env['DOCKER_HOST']
  if (given !== undefined && given !== '') return [given]
  const runtimeDirectory = process.env['XDG_RUNTIME_DIR']
  return runtimeDirectory === undefined
    ? [systemSocket]
    : [systemSocket, `unix://${runtimeDirectory}/docker.sock`]
}

/** The address of a Docker-compatible daemon that answers, in the form of DOCKER_HOST, if there is one. */
export async function findDocker(): Promise<string | undefined> {
  for (const address of knownAddresses()) {
    if (await answers(address)) return address
  }
  return undefined
}

async function waitForDocker(hasEnded: () => boolean): Promise<boolean> {
  const deadline = performance.now() + startDeadlineMs
  while (performance.now() < deadline && !hasEnded()) {
    if (await answers(systemSocket)) return true
    await delay(200)
  }
  return answers(systemSocket)
}

async function startDocker(): Promise<void> {
  if (existsSync('/run/systemd/system')) {
    say('Starting Docker: systemctl start docker')
    await runCommand('systemctl', ['start', 'docker'])
    if (await waitForDocker(() => false)) return
    throw new DockerUnavailableError(
      'Docker was started and does not answer; see `journalctl --unit docker`.',
    )
  }
  const logFile = join(stateDirectory, 'dockerd.log')
  await mkdir(stateDirectory, { recursive: true })
  say(`Starting Docker: dockerd, which keeps running; its log is ${logFile}`)
  await using log = await open(logFile, 'a')
  const daemon = spawn('dockerd', [], { detached: true, stdio: ['ignore', log.fd, log.fd] })
  let end: string | undefined
  daemon.once('error', (error) => (end = error.message))
  daemon.once('exit', (code) => (end = `exit code ${code ?? 'unknown'}`))
  daemon.unref()
  if (await waitForDocker(() => end !== undefined)) return
  const lines = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-15).join('\n')
  throw new DockerUnavailableError(
    `dockerd does not answer (${end ?? 'it still runs'}). The end of ${logFile}:\n${lines}`,
  )
}

/**
 * Makes sure that a Docker-compatible daemon answers, and returns its address in the form of
 * DOCKER_HOST. As root, where none answers, it installs Debian's docker.io and starts `dockerd`.
 * @throws DockerUnavailableError when none answers and this process may not start one.
 */
export async function ensureDocker(): Promise<string> {
  const found = await findDocker()
  if (found !== undefined) {
    // The build scripts speak through the client.
    await ensureDebianPackages(['docker-cli'])
    return found
  }
  const given = process.env['DOCKER_HOST']
  if (given !== undefined && given !== '') {
    throw new DockerUnavailableError(`No Docker-compatible daemon answers at DOCKER_HOST (${given}).`)
  }
  if (process.getuid?.() !== 0) {
    throw new DockerUnavailableError(
      `No Docker-compatible daemon answers at ${knownAddresses().join(' or ')}. Start Docker (and give this user access to its socket), set DOCKER_HOST, or run this command as root, which installs and starts Docker itself.`,
    )
  }
  await ensureDebianPackages(['docker.io'])
  // A package of its own from Debian 13 on, part of docker.io before.
  await ensureDebianPackages(['docker-cli'])
  await startDocker()
  return systemSocket
}
