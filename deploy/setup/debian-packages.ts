import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { runCommand } from './command.ts'
import { say } from './progress.ts'

/** The Debian packages that set-up may need, each with the program or file that shows it is there. */
const evidence = {
  curl: 'curl',
  'docker-cli': 'docker',
  'docker-registry': 'docker-registry',
  'docker.io': 'dockerd',
  dosfstools: '/usr/sbin/mkfs.vfat',
  e2fsprogs: '/usr/sbin/mkfs.ext4',
  faketime: 'faketime',
  git: 'git',
  'golang-go': 'go',
  'grub-pc-bin': '/usr/lib/grub/i386-pc/boot_hybrid.img',
  iproute2: 'ip',
  mmdebstrap: 'mmdebstrap',
  nginx: 'nginx',
  openssl: 'openssl',
  ovmf: '/usr/share/OVMF/OVMF_CODE_4M.fd',
  'qemu-system-x86': 'qemu-system-x86_64',
  'python3-venv': '/usr/share/python-wheels',
  'redis-server': 'redis-server',
  'squashfs-tools': 'mksquashfs',
  xorriso: 'xorriso',
  zstd: 'zstd',
} as const satisfies Record<string, string>

export type DebianPackage = keyof typeof evidence

/** What each part of set-up needs. Installed before any part starts: two apt-get at once would fail. */
export const neededBy = {
  standalone: ['git', 'redis-server', 'xorriso'],
  engineImage: ['golang-go', 'mmdebstrap'],
  fixture: ['curl', 'docker-registry', 'mmdebstrap', 'xorriso'],
  minio: ['golang-go'],
  boot: ['ovmf', 'qemu-system-x86'],
  testFiles: [
    'docker.io',
    'dosfstools',
    'e2fsprogs',
    'faketime',
    'grub-pc-bin',
    'iproute2',
    'openssl',
    'python3-venv',
    'squashfs-tools',
    'xorriso',
    'zstd',
  ],
  downloadBenchmark: ['curl', 'nginx'],
} as const satisfies Record<string, readonly DebianPackage[]>

/** Packages are missing and cannot be installed; the message has the command that does it. */
export class MissingPackagesError extends Error {
  override name = 'MissingPackagesError'
}

async function isPresent(programOrFile: string): Promise<boolean> {
  const candidates = isAbsolute(programOrFile)
    ? [programOrFile]
    : [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'].map((directory) =>
        join(directory, programOrFile),
      )
  const checks = candidates.map((path) =>
    access(path, isAbsolute(programOrFile) ? constants.R_OK : constants.X_OK),
  )
  return (await Promise.allSettled(checks)).some(({ status }) => status === 'fulfilled')
}

/** Those of the packages whose program or file is not there. */
export async function missingPackages(packages: readonly DebianPackage[]): Promise<DebianPackage[]> {
  const present = await Promise.all(packages.map((name) => isPresent(evidence[name])))
  return packages.filter((_name, index) => present[index] !== true)
}

/**
 * Makes sure that Debian packages are there: looks for the program of each, and installs what is
 * missing with apt-get when it runs as root.
 * @throws MissingPackagesError when something is missing and this is not root, or not Debian.
 */
export async function ensureDebianPackages(packages: readonly DebianPackage[]): Promise<void> {
  const missing = await missingPackages([...new Set(packages)])
  if (missing.length === 0) return
  const command = `apt-get install --no-install-recommends ${missing.join(' ')}`
  if (process.getuid?.() !== 0 || !(await isPresent('apt-get'))) {
    throw new MissingPackagesError(
      `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing. On Debian or Ubuntu, run: sudo ${command}`,
    )
  }
  say(`Installing Debian packages: ${missing.join(' ')}`)
  // The output of apt-get is only of interest when it fails, and then it is in the error.
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  await runCommand('apt-get', ['-qq', 'update'], { env, stderr: 'quiet' })
  await runCommand(
    'apt-get',
    ['-qq', '-o', 'DPkg::Lock::Timeout=600', 'install', '--yes', '--no-install-recommends', ...missing],
    { env, stderr: 'quiet' },
  )
  const stillMissing = await missingPackages(missing)
  if (stillMissing.length > 0) {
    const files = stillMissing.map((name) => `${evidence[name]} (${name})`).join(', ')
    throw new MissingPackagesError(`apt-get installed the packages, yet these are not there: ${files}`)
  }
}
