import { entriesAt, isMapping, itemsAt, textAt, valueAt, type Path } from '../path.ts'
import { sources, type FieldRule } from '../rule.ts'

const powerConflict: FieldRule = {
  code: 'user-data.power-conflict',
  severity: 'warning',
  summary: 'The host powers off or reboots when installed, not both.',
  source: sources.kairosConfiguration,
  *check(document) {
    const both = ['poweroff', 'reboot'].every((field) => valueAt(document, ['install', field]) === true)
    if (!both) return
    const message = 'poweroff and reboot are both true; only one of them can happen. Keep one.'
    yield { path: ['install', 'reboot'], on: 'key', message }
  },
}

const growingPartitions: FieldRule = {
  code: 'user-data.growing-partitions',
  severity: 'error',
  summary: 'At most one partition takes what is left of the disk (`size: 0`).',
  source: sources.kairosConfiguration,
  *check(document) {
    const paths: Path[] = entriesAt(document, ['install', 'partitions']).map(([name]) => [
      ...['install', 'partitions', name],
    ])
    const extra = ['install', 'extra-partitions']
    paths.push(...itemsAt(document, extra).map(([index]) => [...extra, index]))
    const [, ...others] = paths.filter((path) => valueAt(document, [...path, 'size']) === 0)
    for (const path of others) {
      const message =
        'A partition before this one already takes what is left of the disk. Give this one a size in MiB.'
      yield { path: [...path, 'size'], message }
    }
  },
}

const fileSystem: FieldRule = {
  code: 'user-data.partition-file-system',
  severity: 'warning',
  summary: 'The persistent partition and extra partitions name their file system.',
  source: sources.installerReference,
  *check(document) {
    const paths: Path[] = [['install', 'partitions', 'persistent']]
    const extra = ['install', 'extra-partitions']
    paths.push(...itemsAt(document, extra).map(([index]) => [...extra, index]))
    for (const path of paths) {
      if (!isMapping(valueAt(document, path)) || textAt(document, [...path, 'fs']) !== undefined) continue
      yield { path, on: 'key', message: 'The partition has no file system. Add fs, such as ext4.' }
    }
  },
}

/** The rules about the installation. */
export const installRules: readonly FieldRule[] = [powerConflict, growingPartitions, fileSystem]
