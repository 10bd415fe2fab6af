import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { git, GitError, withoutCredentials } from '../src/git.ts'
import { temporaryDirectory } from './temporary.ts'

describe('git', () => {
  it('answers the output of a command', async () => {
    assert.match(await git(['version']), /^git version \d/)
  })

  it('tells why a command failed', async () => {
    await using directory = await temporaryDirectory()
    await assert.rejects(
      git(['rev-parse', '--verify', 'HEAD'], { directory: directory.path }),
      (error) =>
        error instanceof GitError && error.exitCode === 128 && /not a git repository/.test(error.message),
    )
  })

  it('sees no configuration of the machine or the user', async () => {
    await using directory = await temporaryDirectory()
    process.env['GIT_CONFIG_COUNT'] = '1'
    process.env['GIT_CONFIG_KEY_0'] = 'user.name'
    process.env['GIT_CONFIG_VALUE_0'] = 'Somebody'
    const settings = await git(['config', '--list'], { directory: directory.path }).finally(() => {
      for (const name of ['COUNT', 'KEY_0', 'VALUE_0'])
        Reflect.deleteProperty(process.env, `GIT_CONFIG_${name}`)
    })
    assert.ok(!settings.includes('Somebody'))
    assert.ok(settings.includes('gc.auto=0'))
  })

  it('ends a command that takes too long', async () => {
    await using directory = await temporaryDirectory()
    await git(['init', '--quiet'], { directory: directory.path })
    await assert.rejects(
      git(['cat-file', '--batch'], { directory: directory.path, timeoutMs: 200 }),
      (error) => error instanceof GitError && /no end after 0.2 s/.test(error.message),
    )
  })

  it('ends a command when it is told to', async () => {
    await using directory = await temporaryDirectory()
    await git(['init', '--quiet'], { directory: directory.path })
    const controller = new AbortController()
    const running = git(['cat-file', '--batch'], { directory: directory.path, signal: controller.signal })
    controller.abort(new Error('enough'))
    await assert.rejects(running, /enough/)
  })

  it('has ended once it is told that it was ended', async () => {
    await using directory = await temporaryDirectory()
    const at = (name: string) => path.join(directory.path, name)
    await git(['init', '--quiet'], { directory: directory.path })
    // It writes once more when it is ended.
    const slow = "!trap 'sleep 0.3; touch late; exit' TERM; touch begun; while :; do sleep 0.05; done"
    const controller = new AbortController()
    const running = git(['-c', `alias.slow=${slow}`, 'slow'], {
      directory: directory.path,
      signal: controller.signal,
    })
    while (!existsSync(at('begun'))) await delay(10)
    controller.abort(new Error('The build was lost.'))
    await assert.rejects(running, /The build was lost/)
    assert.ok(existsSync(at('late')))
  })

  it('does not start a program of the repository’s choice', async () => {
    await using directory = await temporaryDirectory()
    await assert.rejects(
      git(['ls-remote', '--', `ext::touch ${path.join(directory.path, 'RAN')}`]),
      /transport 'ext' not allowed/,
    )
    await assert.rejects(git(['ls-remote', '--', 'http://localhost:1/x.git']), /transport 'http' not allowed/)
  })
})

describe('withoutCredentials', () => {
  for (const [text, expected] of [
    ['https://user:secret@example.com/a.git', 'https://example.com/a.git'],
    ['https://token@example.com/a.git', 'https://example.com/a.git'],
    ['ssh://git@example.com/a.git', 'ssh://example.com/a.git'],
    ['https://example.com/a@b.git', 'https://example.com/a@b.git'],
    ['git@example.com:a.git', 'git@example.com:a.git'],
    ['/srv/canvos.git', '/srv/canvos.git'],
    [
      "fatal: unable to access 'https://u:p@a.example/x/': no",
      "fatal: unable to access 'https://a.example/x/': no",
    ],
  ] as const) {
    it(`makes ${expected}`, () => {
      assert.equal(withoutCredentials(text), expected)
    })
  }
})
