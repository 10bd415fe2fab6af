import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { layoutInputs } from '../src/workspace.ts'
import type { WorkspaceInput } from '../src/workspace.ts'

type Sent = Omit<WorkspaceInput, 'pointer'>

function layout(tag: string, sent: Sent[], given: Record<string, string> = {}) {
  const inputs = sent.map((input, index) => ({ ...input, pointer: `/inputs/${index}` }))
  const { files, arguments: result, diagnostics } = layoutInputs({ tag, inputs, arguments: given })
  return {
    paths: files.map(({ path, source }) => [source.pointer, path]),
    arguments: result,
    faults: diagnostics.map(({ severity, code, pointer }) => `${severity} ${code} ${pointer ?? ''}`),
    messages: diagnostics.map(({ message }) => message),
  }
}

describe('layoutInputs', () => {
  it('puts every input where CanvOS looks for it', () => {
    const sent: Sent[] = [
      { role: 'userData', kind: 'cloud-config', fileName: 'user-data.yaml' },
      { role: 'argFile', kind: 'text' },
      { role: 'contentBundle', kind: 'zstd', fileName: 'core.tar.zst' },
      { role: 'contentBundle', kind: 'zstd', fileName: 'extra.zst' },
      { role: 'clusterDefinition', kind: 'gzip', fileName: 'demo-cluster-65cbe8.tgz' },
      { role: 'edgeCustomConfig', kind: 'text' },
      { role: 'cert', kind: 'pem', fileName: 'proxy.pem' },
      { role: 'cert', kind: 'pem', fileName: 'registry.crt' },
      { role: 'localUi', kind: 'tar' },
    ]
    const {
      paths,
      arguments: result,
      faults,
    } = layout('v4.9.36', sent, { ARCH: 'amd64', CLUSTERCONFIG: 'other.tgz' })
    assert.deepEqual(paths, [
      ['/inputs/0', 'user-data'],
      ['/inputs/8', 'local-ui.tar'],
      ['/inputs/5', '.edge-custom-config.yaml'],
      ['/inputs/4', 'demo-cluster-65cbe8.tgz'],
      ['/inputs/2', 'content-1/core.tar.zst'],
      ['/inputs/3', 'content-2/extra.zst'],
      ['/inputs/6', 'certs/proxy.crt'],
      ['/inputs/7', 'certs/registry.crt'],
    ])
    assert.deepEqual(result, {
      ARCH: 'amd64',
      CLUSTERCONFIG: 'demo-cluster-65cbe8.tgz',
      EDGE_CUSTOM_CONFIG: '.edge-custom-config.yaml',
    })
    assert.deepEqual(faults, [])
  })

  it('leaves the arguments alone when no input is named by one', () => {
    assert.deepEqual(layout('v4.9.36', [{ role: 'userData', kind: 'text' }], { ARCH: 'amd64' }), {
      paths: [['/inputs/0', 'user-data']],
      arguments: { ARCH: 'amd64' },
      faults: [],
      messages: [],
    })
  })

  for (const [role, fileName, path] of [
    ['contentBundle', undefined, 'content-1/content-bundle.tar.zst'],
    ['contentBundle', 'core.tar', 'content-1/core.tar.zst'],
    ['contentBundle', 'core', 'content-1/core.zst'],
    ['contentBundle', 'CORE.ZST', 'content-1/CORE.zst'],
    ['contentBundle', 'zst', 'content-1/zst.zst'],
    ['clusterDefinition', undefined, 'cluster-definition.tgz'],
    ['clusterDefinition', 'spc', 'spc.tgz'],
    ['clusterDefinition', 'spc.tar.gz', 'spc.tgz'],
    ['clusterDefinition', 'Earthfile', 'Earthfile.tgz'],
    ['clusterDefinition', 'spc.TGZ', 'spc.tgz'],
    ['cert', undefined, 'certs/certificate.crt'],
    ['cert', 'ca.cer', 'certs/ca.crt'],
    ['cert', 'README', 'certs/README.crt'],
  ] as const) {
    it(`names a ${role} ${fileName ?? 'without a name'} ${path}`, () => {
      const kind = { contentBundle: 'zstd', clusterDefinition: 'gzip', cert: 'pem' }[role]
      const { paths, faults } = layout('v4.9.36', [
        { role, kind, ...(fileName === undefined ? {} : { fileName }) },
      ])
      assert.deepEqual([paths, faults], [[['/inputs/0', path]], []])
    })
  }

  it('numbers several files without names', () => {
    const several: Sent[] = [
      { role: 'contentBundle', kind: 'zstd' },
      { role: 'contentBundle', kind: 'zstd' },
      { role: 'cert', kind: 'pem' },
      { role: 'cert', kind: 'pem' },
    ]
    assert.deepEqual(
      layout('v4.9.36', several).paths.map(([, path]) => path),
      [
        'content-1/content-bundle-1.tar.zst',
        'content-2/content-bundle-2.tar.zst',
        'certs/certificate-1.crt',
        'certs/certificate-2.crt',
      ],
    )
  })

  it('refuses bundles that would replace each other', () => {
    const { faults, messages } = layout('v4.9.36', [
      { role: 'contentBundle', kind: 'zstd', fileName: 'core.zst' },
      { role: 'contentBundle', kind: 'zstd', fileName: 'other.zst' },
      { role: 'contentBundle', kind: 'zstd', fileName: 'core' },
    ])
    assert.deepEqual(faults, ['error content-bundle.name-clash /inputs/2'])
    assert.match(messages[0] ?? '', /core\.zst.*fileName/)
  })

  it('refuses certificates that would replace each other', () => {
    const pair: Sent[] = [
      { role: 'cert', kind: 'pem', fileName: 'ca.pem' },
      { role: 'cert', kind: 'pem', fileName: 'ca.crt' },
    ]
    assert.deepEqual(layout('v4.5.11', pair).faults, ['error cert.name-clash /inputs/1'])
  })

  for (const [role, kind, code, advice] of [
    ['contentBundle', 'iso9660', 'content-bundle.wrong-kind', /cannot be an ISO image/],
    ['contentBundle', 'gzip', 'content-bundle.wrong-kind', /gunzip/],
    ['contentBundle', 'binary', 'content-bundle.wrong-kind', /ZST format/],
    ['clusterDefinition', 'tar', 'cluster-definition.wrong-kind', /\.tgz/],
    ['localUi', 'gzip', 'local-ui.wrong-kind', /uncompressed/],
    ['overlay', 'gzip', 'overlay.wrong-kind', /plain tar/],
  ] as const) {
    it(`refuses a ${role} of kind ${kind}`, () => {
      const { faults, messages } = layout('v4.9.36', [{ role, kind }])
      assert.deepEqual(faults, [`error ${code} /inputs/0`])
      assert.match(messages[0] ?? '', advice)
    })
  }

  it('gives tags before v4.5.11 their one certificate', () => {
    const certs: Sent[] = [
      { role: 'cert', kind: 'pem', fileName: 'a.pem' },
      { role: 'cert', kind: 'pem', fileName: 'b.pem' },
    ]
    const one = layout('v4.5.10', certs.slice(0, 1))
    assert.deepEqual(
      [one.paths, one.arguments, one.faults],
      [[['/inputs/0', 'sc.crt']], { PROXY_CERT_PATH: 'sc.crt' }, []],
    )
    assert.deepEqual(layout('v4.5.10', certs).faults, ['error cert.one-only /inputs/1'])
    assert.deepEqual(layout('v4.5.11-rc.1', certs).faults, ['error cert.one-only /inputs/1'])
  })

  for (const [role, tag, since] of [
    ['contentBundle', 'v3.4.1', 'v3.4.3'],
    ['clusterDefinition', 'v4.1.4', 'v4.2.3'],
    ['secureBoot', 'v4.3.3', 'v4.4.2'],
    ['publicKey', 'v4.4.2', 'v4.4.4'],
    ['edgeCustomConfig', 'v4.4.2', 'v4.4.4'],
    ['localUi', 'v4.4.2', 'v4.4.4'],
  ] as const) {
    it(`refuses a ${role} on ${tag}, which would leave it out, and takes it from ${since} on`, () => {
      const kind = { contentBundle: 'zstd', clusterDefinition: 'gzip' }[role as string] ?? 'tar'
      const sent = [{ role, kind }]
      assert.deepEqual(layout(tag, sent, { IS_UKI: 'true' }).faults, ['error input.not-in-tag /inputs/0'])
      assert.deepEqual(layout(since, sent, { IS_UKI: 'true' }).faults, [])
    })
  }

  it('says how a file is made from its input', () => {
    const member = { path: 'content-a/b.zst', offset: 512, size: 10, executable: true }
    const source = { pointer: '', kind: 'tar' }
    const inputs: WorkspaceInput[] = [
      { ...source, role: 'contentBundle', fileName: 'core.tar' },
      { ...source, role: 'contentBundle', members: [member] },
      { ...source, role: 'overlay', members: [{ ...member, path: 'overlay/files/a' }] },
      { ...source, role: 'publicKey', kind: 'pem' },
    ]
    const laid = layoutInputs({ tag: 'v4.9.36', inputs, arguments: {} }).files
    assert.deepEqual(
      laid.map(({ source: _, ...file }) => file),
      [
        { path: '.edge-custom-config.yaml', transform: 'edge-custom-config' },
        { path: 'content-1/core.tar.zst', transform: 'zstd-frame' },
        { path: 'content-2/b.zst', range: { offset: 512, length: 10 }, executable: true },
        { path: 'overlay/files/a', range: { offset: 512, length: 10 }, executable: true },
      ],
    )
  })

  it('lays no file for a signature', () => {
    const sent: Sent[] = [
      { role: 'contentBundleSignature', kind: 'binary' },
      { role: 'clusterDefinitionSignature', kind: 'text' },
    ]
    assert.deepEqual(layout('v4.9.36', sent), { paths: [], arguments: {}, faults: [], messages: [] })
  })
})
