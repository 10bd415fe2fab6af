import { entriesAt, itemsAt, valueAt } from '../path.ts'
import { sources, type FieldRule } from '../rule.ts'
import { stageNames } from '../schema/stages.ts'
import { isStage, nearestName } from '../suggestion.ts'

const unknownStage: FieldRule = {
  code: 'user-data.unknown-stage',
  severity: 'warning',
  summary: 'Stages are ones of the host, or `.before` or `.after` of one.',
  source: sources.cloudInitStages,
  *check(document) {
    for (const [name] of entriesAt(document, ['stages'])) {
      if (isStage(name)) continue
      const suffix = /\.(?:before|after)$/.exec(name)?.[0] ?? ''
      const nearest = nearestName(name.slice(0, name.length - suffix.length), Object.keys(stageNames))
      const hint = nearest === undefined ? 'See the list of stages.' : `Did you mean ${nearest}${suffix}?`
      const message = `There is no stage ${name}: its steps never run. ${hint}`
      yield { path: ['stages', name], on: 'key', message }
    }
  },
}

const lateUsers: FieldRule = {
  code: 'user-data.late-users',
  severity: 'info',
  summary: 'Users are created in the stage `initramfs`, the earliest one.',
  source: sources.installerReference,
  *check(document) {
    for (const [stage] of entriesAt(document, ['stages'])) {
      if (!isStage(stage) || /^(?:initramfs|rootfs)/.test(stage)) continue
      for (const [index] of itemsAt(document, ['stages', stage])) {
        const path = ['stages', stage, index, 'users']
        if (valueAt(document, path) === undefined) continue
        const message = `Users created in ${stage} cannot log in to find out why an earlier stage fails. Create them in initramfs.`
        yield { path, on: 'key', message }
      }
    }
  },
}

const offloads = ['tx-udp_tnl-segmentation', 'tx-udp_tnl-csum-segmentation']

/** Names that systemd gives the first VMXNET3 adapters of a VMware virtual machine. */
const vmwareName = /^ens(?:160|192|224|256)$/

/** The commands of all steps of all stages. */
function commandsOf(document: unknown): string[] {
  return entriesAt(document, ['stages'])
    .flatMap(([stage]) =>
      itemsAt(document, ['stages', stage]).map(([index]) => ['stages', stage, index, 'commands']),
    )
    .flatMap((path) => itemsAt(document, path).map(([, command]) => command))
    .filter((command) => typeof command === 'string')
}

const vmxnet3: FieldRule = {
  code: 'user-data.vmxnet3-offload',
  severity: 'info',
  summary:
    'On VMware, with an overlay network or Flannel, a step turns off the UDP tunnel offloads of VMXNET3 adapters.',
  source: sources.overlayNetwork,
  *check(document) {
    const list = ['stylus', 'site', 'network', 'interfaces']
    const names = entriesAt(document, list).flatMap(([name]) => (vmwareName.test(name) ? [name] : []))
    const commands = names.length === 0 ? [] : commandsOf(document)
    for (const name of names) {
      const missing = offloads.filter((offload) => !commands.some((command) => command.includes(offload)))
      if (missing.length === 0) continue
      const step = missing.map((offload) => `ethtool --offload ${name} ${offload} off`).join('; ')
      const message = `${name} looks like an adapter of a VMware machine. If it is a VMXNET3 adapter, and the cluster has an overlay network or Flannel, run in the stage initramfs: ${step}.`
      yield { path: [...list, name], on: 'key', message }
    }
  },
}

/** The rules about stages. */
export const stageRules: readonly FieldRule[] = [unknownStage, lateUsers, vmxnet3]
