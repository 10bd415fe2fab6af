import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { buildKey, isLayered, recipeKeys, type KeyedInput, type Maker, type Recipe } from '../src/keys.ts'

const maker: Maker = { engine: 'engine', userDataReserveBytes: 1000 }

function input(role: KeyedInput['role'], digit: string, more: Partial<KeyedInput> = {}): KeyedInput {
  return {
    ...{ role, pointer: `/inputs/${role}`, contentId: `sha256:${digit.repeat(64)}`, kind: 'unknown' },
    ...{ size: 10, objectKey: `uploads/data/${digit}`, ...more },
  }
}

const recipe: Recipe = {
  target: 'iso',
  canvos: { tag: 'v4.10.0', commit: '1'.repeat(40) },
  arguments: { ARCH: 'amd64', ISO_NAME: 'one', CLUSTERCONFIG: 'a.tgz', EDGE_CUSTOM_CONFIG: '.edge.yaml' },
  inputs: [
    input('userData', '1'),
    input('clusterDefinition', '2'),
    input('edgeCustomConfig', '3'),
    input('localUi', '4'),
    input('contentBundle', '5', { fileName: 'core.tar.zst' }),
    input('cert', '6', { fileName: 'proxy.pem' }),
  ],
}

function withInput(role: KeyedInput['role'], change: Partial<KeyedInput>): Recipe {
  return {
    ...recipe,
    inputs: recipe.inputs.map((one) => (one.role === role ? { ...one, ...change } : one)),
  }
}

const other = { contentId: `sha256:${'9'.repeat(64)}` }

/** Which identities of the recipe a change leaves as they are. */
function kept(changed: Recipe, by: Maker = maker): string[] {
  const [before, after] = [recipeKeys(recipe, maker), recipeKeys(changed, by)]
  const isSame = {
    root: before.root === after.root,
    layers: before.layers === after.layers,
    build: buildKey(before, recipe, []) === buildKey(after, changed, []),
  }
  return Object.entries(isSame).flatMap(([name, same]) => (same ? [name] : []))
}

describe('The keys of a build', () => {
  it('are the same whatever the order of its arguments and wherever the bytes of its inputs are', () => {
    const reversed = Object.fromEntries(Object.entries(recipe.arguments).reverse())
    const moved = recipe.inputs.map((one) => ({ ...one, objectKey: `${one.objectKey}-copy` }))
    assert.deepEqual(kept({ ...recipe, arguments: reversed, inputs: moved }), ['root', 'layers', 'build'])
  })

  it('differ with the version of a secret that Earthly is handed, and with its name there', () => {
    assert.deepEqual(kept({ ...recipe, secrets: {} }), ['root', 'layers', 'build'])
    assert.deepEqual(kept({ ...recipe, secrets: { TOKEN: 'first' } }), [])
    const versions: Record<string, string>[] = [{ TOKEN: 'first' }, { TOKEN: 'second' }, { OTHER: 'first' }]
    const roots = versions.map((secrets) => recipeKeys({ ...recipe, secrets }, maker).root)
    assert.equal(new Set(roots).size, 3)
  })

  it('share the layers with builds that differ in user-data or in the name of the ISO', () => {
    assert.deepEqual(kept(withInput('userData', { ...other, size: 1000 })), ['root', 'layers'])
    const renamed = { ...recipe, arguments: { ...recipe.arguments, ISO_NAME: 'two' } }
    assert.deepEqual(kept(renamed), ['root', 'layers'])
  })

  it('share the root file system with builds that differ in what is laid beside it', () => {
    for (const role of ['clusterDefinition', 'edgeCustomConfig', 'contentBundle'] as const) {
      assert.deepEqual(kept(withInput(role, other)), ['root'], role)
    }
    assert.deepEqual(kept(withInput('contentBundle', { fileName: 'extra.tar.zst' })), ['root'])
    assert.deepEqual(kept(withInput('userData', { size: 1001 })), ['root'])
    const without = { ...recipe, inputs: recipe.inputs.filter(({ role }) => role !== 'userData') }
    assert.deepEqual(kept(without), ['root'])
    const unnamed = { ...recipe, arguments: { ARCH: 'amd64', ISO_NAME: 'one' } }
    assert.deepEqual(kept(unnamed), ['root', 'layers', 'build'])
  })

  it('differ wholly when the root file system does', () => {
    for (const role of ['localUi', 'cert'] as const) assert.deepEqual(kept(withInput(role, other)), [], role)
    assert.deepEqual(kept({ ...recipe, canvos: { tag: 'v4.10.0', commit: '2'.repeat(40) } }), [])
    assert.deepEqual(kept({ ...recipe, arguments: { ...recipe.arguments, ARCH: 'arm64' } }), [])
    assert.deepEqual(kept(recipe, { ...maker, engine: 'another' }), [])
  })

  it('tell apart ISOs from different images, whatever the order they are told in', () => {
    const keys = recipeKeys(recipe, maker)
    const image = (name: string, digit: string) => ({
      reference: name,
      digest: `sha256:${digit.repeat(64)}`,
    })
    const key = buildKey(keys, recipe, [image('a', '1'), image('b', '2')])
    assert.equal(key, buildKey(keys, recipe, [image('b', '2'), image('a', '1')]))
    assert.notEqual(key, buildKey(keys, recipe, [image('a', '1'), image('b', '3')]))
  })

  it('are for installer ISOs that are not signed over their contents', () => {
    assert.ok(isLayered(recipe))
    assert.ok(!isLayered({ ...recipe, target: 'all-images' }))
    assert.ok(!isLayered({ ...recipe, arguments: { IS_UKI: 'true' } }))
  })
})
