import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Value from 'typebox/value'
import { isStage } from '@edgesmith/user-data/suggestion'
import { userDataSchema } from '@edgesmith/user-data/schema/user-data'
import { compareShape, type JsonSchema } from '@edgesmith/user-data/shape'
import { validateUserData } from '@edgesmith/user-data/validate'
import { parseDocument } from '@edgesmith/user-data/document'
import { shapeCases } from './cases/shape.ts'

/** The fields of the installer reference, "Palette Agent Parameters" to "Install Parameters", in its notation. */
const documented = `
stylus.debug stylus.disablePasswordUpdate stylus.disableTui stylus.enableMultiNode
stylus.externalRegistries.registries.*.domain stylus.externalRegistries.registries.*.username
stylus.externalRegistries.registries.*.password stylus.externalRegistries.registries.*.repositoryName
stylus.externalRegistries.registries.*.certificates stylus.externalRegistries.registries.*.insecure
stylus.externalRegistries.registries.*.encodedPassword stylus.externalRegistries.registryMappingRules
stylus.featureGate stylus.includeTui stylus.localUI.login.attemptsBeforeExponentialDelayStarts
stylus.localUI.login.disableRateLimiting stylus.localUI.login.lockoutDurationInMinutes
stylus.localUI.login.maxFailedAttemptsBeforeLockout stylus.localUI.port stylus.managementMode stylus.path
stylus.installationMode stylus.emcServer.port stylus.imageOverride
stylus.registryCredentials.domain stylus.registryCredentials.username stylus.registryCredentials.password
stylus.registryCredentials.encodedPassword stylus.registryCredentials.insecure stylus.trace stylus.vip.skip
stylus.imageRedirectWebhook.enable stylus.imageRedirectWebhook.port
stylus.site.caCerts stylus.site.clusterId stylus.site.clusterName stylus.site.deviceUIDPaths.*.name
stylus.site.deviceUIDPaths.*.regex stylus.site.edgeHostToken stylus.site.hostName stylus.site.disableAutoRegister
stylus.site.insecureSkipVerify stylus.site.name stylus.site.ntpServers stylus.site.paletteEndpoint
stylus.site.prefix stylus.site.projectName stylus.site.projectUid stylus.site.registrationURL
stylus.site.remoteShell.disable stylus.site.tags stylus.site.tagsFromFile.fileName
stylus.site.tagsFromFile.delimiter stylus.site.tagsFromFile.separator stylus.site.tagsFromScript.scriptName
stylus.site.tagsFromScript.timeout stylus.site.users stylus.site.network.httpProxy
stylus.site.network.httpsProxy stylus.site.network.noProxy stylus.site.network.nameserver
stylus.site.network.interfaces.*.ipAddress stylus.site.network.interfaces.*.mask
stylus.site.network.interfaces.*.type stylus.site.network.interfaces.*.gateway
stylus.site.network.interfaces.*.nameserver
install.bind_mounts install.extra-dirs-rootfs install.grub_options.extra_cmdline
install.partitions.persistent.size install.partitions.persistent.fs install.extra-partitions.*.name
install.extra-partitions.*.size install.extra-partitions.*.fs install.extra-partitions.*.label
install.poweroff install.reboot
stages.initramfs stages.rootfs stages.boot stages.fs stages.network stages.reconcile stages.after-install
stages.after-install-chroot stages.after-upgrade stages.after-upgrade-chroot stages.after-reset
stages.after-reset-chroot stages.before-install stages.before-upgrade stages.before-reset
stages.network.after stages.network.before
`
  .trim()
  .split(/\s+/)

function fieldAt(dotted: string): JsonSchema | undefined {
  const stage = dotted.replace(/^stages\./, '')
  if (stage !== dotted) return isStage(stage) ? userDataSchema.properties.stages.properties[stage] : undefined
  let schema: JsonSchema | undefined = userDataSchema
  for (const segment of dotted.split('.')) {
    if (segment !== '*') schema = schema?.properties?.[segment]
    else schema = schema?.items ?? (schema?.additionalProperties as JsonSchema | undefined)
  }
  return schema
}

describe('user-data: schema', () => {
  for (const field of documented) {
    it(`knows ${field}`, () => {
      assert.notEqual(fieldAt(field), undefined)
    })
  }

  it('describes every field of the Palette agent for editors', () => {
    const silent: string[] = []
    visit(userDataSchema.properties.stylus, 'stylus')
    assert.deepEqual(silent, [])

    function visit(schema: JsonSchema & { description?: string }, path: string): void {
      if (schema.description === undefined && !path.endsWith('*') && path !== 'stylus.emcServer.port')
        silent.push(path)
      for (const [name, field] of Object.entries(schema.properties ?? {})) visit(field, `${path}.${name}`)
      if (schema.items?.properties !== undefined) visit(schema.items, `${path}.*`)
    }
  })

  it('is JSON', () => {
    const text = JSON.stringify(userDataSchema)
    const schema = JSON.parse(text) as JsonSchema & { $id: string; $schema: string }
    assert.equal(schema.$id, 'UserData')
    assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema')
    assert.equal(schema.properties?.['stylus']?.properties?.['includeTui']?.deprecated, true)
  })

  it('holds examples that it accepts', () => {
    const { examples } = JSON.parse(JSON.stringify(userDataSchema)) as { examples: unknown[] }
    assert.equal(examples.length, 1)
    for (const example of examples) assert.ok(Value.Check(userDataSchema, example))
  })

  it('says of each case what a JSON Schema validator says', () => {
    for (const { name, text } of shapeCases) {
      const value = parseDocument(text as string).tree?.value
      const faults = compareShape(userDataSchema, value).filter(
        ({ rule }) => !['user-data.unknown-field', 'user-data.deprecated'].includes(rule.code),
      )
      assert.equal(Value.Check(userDataSchema, value), faults.length === 0, name)
    }
  })
})

describe('user-data: messages', () => {
  const first = (stylus: string, code: string) =>
    validateUserData(`#cloud-config\nstylus:\n${stylus}`).find((diagnostic) => diagnostic.code === code)

  it('suggest the name that was meant', () => {
    const suggestions: [string, RegExp][] = [
      ['  includTui: true\n', /Did you mean includeTui\?$/],
      ['  site: { Name: edge }\n', /Did you mean name\?$/],
      ['  site: { edgeHostTokn: a }\n', /Did you mean edgeHostToken\?$/],
      ['  paletteEndpoint: a\n', /Did you mean stylus\.site\.paletteEndpoint\?$/],
      ['  site: { qqqqqqqqq: 1 }\n', /Check its name and its place, or remove it\.$/],
    ]
    for (const [stylus, pattern] of suggestions) {
      assert.match(first(stylus, 'user-data.unknown-field')?.message ?? '', pattern)
    }
  })

  it('send a stage below stages', () => {
    const [diagnostic] = validateUserData(
      '#cloud-config\nstylus: { managementMode: local }\nboot.after: []\n',
    )
    assert.match(diagnostic?.message ?? '', /It is a stage: write it below stages\.$/)
  })

  it('name the field that replaces a deprecated one', () => {
    const diagnostic = first('  installationMode: airgap\n', 'user-data.deprecated')
    assert.match(diagnostic?.message ?? '', /Use stylus\.managementMode\.$/)
  })

  it('point at line and column of the value, in characters', () => {
    const diagnostic = first('  site: { tags: { a: "😀" }, name: a_b }\n', 'user-data.host-name')
    assert.deepEqual([diagnostic?.line, diagnostic?.column], [3, 35])
  })

  it('point at the key of a value without text', () => {
    const diagnostic = first('  site:\n    name:\n', 'user-data.type')
    assert.deepEqual([diagnostic?.line, diagnostic?.column], [4, 5])
  })

  it('say which command of a VMXNET3 step is missing', () => {
    const hint = first(
      '  site: { network: { interfaces: { ens160: { type: dhcp } } } }\nstages:\n  boot:\n    - commands: [ethtool -K ens160 tx-udp_tnl-segmentation off]\n',
      'user-data.vmxnet3-offload',
    )
    assert.match(hint?.message ?? '', /: ethtool --offload ens160 tx-udp_tnl-csum-segmentation off\.$/)
  })
})
