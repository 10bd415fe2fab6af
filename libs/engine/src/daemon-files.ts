import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ArchiveEntry } from './archive.ts'
import type { DaemonLimits } from './daemon-limits.ts'
import type { NetworkRules } from './network-policy.ts'

/** Where the files below are in the daemon's container, besides `/etc`. */
export const daemonDirectory = '/etc/edgesmith'

/** What Docker starts in the daemon's container, with the image's own command behind it. */
export const startScript = `${daemonDirectory}/start`
/** Puts the rules that are in the directory in force. */
export const applyPolicyScript = `${daemonDirectory}/apply-policy`
/** What BuildKit runs in place of runc. */
export const runcScript = `${daemonDirectory}/runc`

const scripts = ['start', 'apply-policy', 'runc', 'watch-disk'].map((name) => ({
  name,
  body: readFileSync(join(import.meta.dirname, `../daemon/${name}.sh`)),
}))

/** The files, relative to `/etc`, by which a daemon holds its steps. */
export function daemonFiles({ step, freeDiskBytes }: DaemonLimits, rules: NetworkRules): ArchiveEntry[] {
  const limits = {
    STEP_MEMORY_BYTES: step.memoryBytes,
    STEP_PIDS: step.pids,
    DISK_FREE_BYTES: freeDiskBytes,
  }
  return [
    { type: 'directory', path: 'edgesmith', mode: 0o755 },
    ...scripts.map(
      ({ name, body }) => ({ type: 'file', path: `edgesmith/${name}`, mode: 0o755, body }) as const,
    ),
    {
      type: 'file',
      path: 'edgesmith/step-limits',
      mode: 0o644,
      body: Object.entries(limits)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    },
    ...ruleFiles(rules),
  ]
}

/** The rules alone, to replace those of a daemon that runs. */
export function ruleFiles(rules: NetworkRules): ArchiveEntry[] {
  return [
    { type: 'file', path: 'edgesmith/iptables.rules', mode: 0o644, body: rules.iptables },
    { type: 'file', path: 'edgesmith/ip6tables.rules', mode: 0o644, body: rules.ip6tables },
  ]
}
