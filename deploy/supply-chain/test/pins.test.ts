import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { repositoryDirectory } from '../../setup/paths.ts'

const read = (path: string) => readFile(join(repositoryDirectory, path), 'utf8')

/** An image that is named so cannot change: by its digest, or as one that this repository makes of packages. */
const pinned = /^(?:\S+@sha256:[0-9a-f]{64}|edgesmith\/[a-z]+:\$\{EDGESMITH_TAG:-\d+\.\d+\.\d+\}|\$\{BASE\})$/

describe('The images that this repository names', () => {
  it('are pinned where a Dockerfile begins', async () => {
    const files = globSync('{services,deploy,test}/**/Dockerfile*', { cwd: repositoryDirectory })
    assert.ok(files.length >= 4)
    for (const file of files) {
      const text = await read(file)
      for (const [, image = ''] of text.matchAll(/^FROM\s+(\S+)/gm)) assert.match(image, pinned, file)
      assert.doesNotMatch(text, /^ARG BASE=/m, `${file} has a default that can change`)
    }
  })

  it('are pinned in docker-compose.yml', async () => {
    const images = [...(await read('docker-compose.yml')).matchAll(/^[ \t]+image:[ \t]*(\S+)[ \t]*$/gm)]
    assert.ok(images.length >= 6)
    for (const [, image = ''] of images) assert.match(image, pinned)
    const { version } = JSON.parse(await read('package.json')) as { version: string }
    for (const [, image = ''] of images)
      assert.ok(image.endsWith(`-${version}}`), `${image} is not of ${version}`)
  })
})
