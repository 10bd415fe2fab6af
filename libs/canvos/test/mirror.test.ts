import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chown, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, it } from 'node:test'
import { inspect, promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import { ProblemError } from '@edgesmith/contract/problem'
import { lockFile } from '../src/directory-lock.ts'
import { git } from '../src/git.ts'
import { openMirror, UnknownTagError } from '../src/mirror.ts'
import { readKubernetesVersions } from '../src/kubernetes-versions.ts'
import { SourceRepository, temporaryDirectory } from './temporary.ts'

const run = promisify(execFile)

/** A source repository and a place for its mirror. */
async function scene() {
  const directory = await temporaryDirectory()
  const source = await SourceRepository.create(path.join(directory.path, 'source'))
  const mirrorDirectory = path.join(directory.path, 'mirror')
  const open = (options: Partial<Parameters<typeof openMirror>[0]> = {}) =>
    openMirror({
      repository: source.path,
      directory: mirrorDirectory,
      lookupIntervalMs: 0,
      retryAfterMs: 0,
      ...options,
    })
  return {
    directory: directory.path,
    source,
    mirrorDirectory,
    open,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof ProblemError && error.code === 'upstream-unavailable'
}

describe('releases', () => {
  it('are listed newest first, release candidates before their release, odd tags left out', async () => {
    await using at = await scene()
    const first = await at.source.release('v4.9.9', { Earthfile: 'VERSION 0.6\n' })
    for (const tag of [
      'v4.10.0-rc.2',
      'v4.10.0-rc.10',
      'v4.9.a',
      'v4.8.10-alpha1',
      'v4.8.10',
      'v4.9.10',
      'latest',
      'v4.9',
      'v4.10.0',
      'v4.6.21-patch.6',
      'v04.9.1',
      'archive/v4.9.1',
      'v4.9.1+build',
    ]) {
      await at.source.git('tag', tag)
    }
    const releases = await at.open().releases()
    assert.deepEqual(
      releases.map(({ tag }) => tag),
      [
        'v4.10.0',
        'v4.10.0-rc.10',
        'v4.10.0-rc.2',
        'v4.9.10',
        'v4.9.9',
        'v4.8.10',
        'v4.8.10-alpha1',
        'v4.6.21-patch.6',
      ],
    )
    assert.deepEqual(
      releases.filter(({ prerelease }) => prerelease).map(({ tag }) => tag),
      ['v4.10.0-rc.10', 'v4.10.0-rc.2', 'v4.8.10-alpha1', 'v4.6.21-patch.6'],
    )
    const committed = new Date(await at.source.git('log', '-1', '--format=%cI')).toISOString()
    assert.deepEqual(releases[0], {
      tag: 'v4.10.0',
      commit: first,
      committedAt: committed,
      prerelease: false,
    })
  })

  it('name the commit behind an annotated tag', async () => {
    await using at = await scene()
    const commit = await at.source.release('v1.0.0', { a: 'a' }, { annotated: true })
    assert.deepEqual(
      (await at.open().releases()).map((release) => release.commit),
      [commit],
    )
    assert.deepEqual(await at.open().resolveTag('v1.0.0'), { tag: 'v1.0.0', commit })
  })

  it('leave out tags that name no commit', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', { a: 'a' })
    await at.source.git('tag', 'v1.0.1', await at.source.git('rev-parse', 'HEAD^{tree}'))
    assert.deepEqual(
      (await at.open().releases()).map(({ tag }) => tag),
      ['v1.0.0'],
    )
    assert.equal(await at.open().resolveTag('v1.0.1'), undefined)
  })
})

describe('refresh', () => {
  it('fetches only when the mirror is older than asked for', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', {})
    const mirror = at.open()
    assert.equal((await mirror.refresh(60_000)).stale, false)
    await at.source.release('v1.1.0', {})
    await mirror.refresh(60_000)
    assert.equal((await mirror.releases()).length, 1)
    await mirror.refresh(0)
    assert.equal((await mirror.releases()).length, 2)
  })

  it('follows tags that were moved or removed', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', { a: 'a' })
    await at.source.release('v1.1.0', { a: 'b' })
    const mirror = at.open()
    await mirror.refresh(0)
    await at.source.git('tag', '--delete', 'v1.1.0')
    await at.source.git('tag', '--force', 'v1.0.0')
    await mirror.refresh(0)
    assert.deepEqual(
      await mirror.releases(),
      await at.open({ directory: path.join(at.directory, 'fresh') }).releases(),
    )
    assert.equal(await mirror.readFile('v1.0.0', 'a'), 'b')
  })

  it('keeps using what it has when the remote is gone, and says so', async () => {
    await using at = await scene()
    const commit = await at.source.release('v1.0.0', {})
    const mirror = at.open()
    const { refreshedAt } = await mirror.refresh(0)
    await rename(at.source.path, `${at.source.path}.gone`)
    const freshness = await mirror.refresh(0)
    assert.equal(freshness.stale, true)
    assert.equal(freshness.refreshedAt, refreshedAt)
    assert.match(freshness.reason ?? '', /git fetch/)
    assert.deepEqual(await mirror.resolveTag('v1.0.0'), { tag: 'v1.0.0', commit })
    assert.equal(await mirror.resolveTag('v9.9.9'), undefined)
    assert.equal((await at.open().releases()).length, 1)
    await rename(`${at.source.path}.gone`, at.source.path)
    assert.equal((await mirror.refresh(0)).stale, false)
  })

  it('does not ask a remote that just failed again and again', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', {})
    const mirror = at.open({ retryAfterMs: 3_600_000 })
    await mirror.refresh(0)
    await rename(at.source.path, `${at.source.path}.gone`)
    assert.equal((await mirror.refresh(0)).stale, true)
    await rename(`${at.source.path}.gone`, at.source.path)
    assert.equal((await mirror.refresh(0)).stale, true)
  })

  it('is a problem when there is neither remote nor mirror', async () => {
    await using at = await scene()
    const mirror = at.open({ repository: path.join(at.directory, 'nowhere') })
    await assert.rejects(mirror.refresh(0), isUnavailable)
    await assert.rejects(mirror.releases(), isUnavailable)
    await assert.rejects(mirror.resolveTag('v1.0.0'), isUnavailable)
    await assert.rejects(mirror.checkout('v1.0.0', path.join(at.directory, 'tree')), isUnavailable)
  })

  it('does not take the mirror of another repository for its own', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', {})
    await at.open().refresh(0)
    await assert.rejects(
      at.open({ repository: path.join(at.directory, 'nowhere') }).releases(),
      isUnavailable,
    )
    const other = await SourceRepository.create(path.join(at.directory, 'other'))
    await other.release('v2.0.0', {})
    assert.deepEqual(
      (await at.open({ repository: other.path }).releases()).map(({ tag }) => tag),
      ['v2.0.0'],
    )
  })

  it('never tells the credentials of the repository', async () => {
    await using at = await scene()
    const mirror = at.open({ repository: 'https://user:hunter2@localhost:1/canvos.git' })
    assert.equal(mirror.repository, 'https://localhost:1/canvos.git')
    await assert.rejects(
      mirror.releases(),
      (error) => isUnavailable(error) && !inspect(error, { depth: 9 }).includes('hunter2'),
    )
  })

  it('speaks no transport that runs commands, and takes no option for a repository', async () => {
    await using at = await scene()
    const trace = path.join(at.directory, 'RAN')
    for (const repository of [`ext::sh -c "touch ${trace}"`, `--upload-pack=touch ${trace}`]) {
      await assert.rejects(
        at.open({ repository, directory: path.join(at.directory, 'm') }).releases(),
        isUnavailable,
      )
    }
    assert.ok(!(await readdir(at.directory)).includes('RAN'))
  })

  it('recovers from a git that was killed in the middle', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', {})
    const mirror = at.open()
    await mirror.refresh(0)
    await at.source.release('v1.1.0', {})
    await writeFile(path.join(at.mirrorDirectory, 'packed-refs.lock'), '')
    await mkdir(path.join(at.mirrorDirectory, 'refs/tags'), { recursive: true })
    await writeFile(path.join(at.mirrorDirectory, 'refs/tags/v1.1.0.lock'), '')
    assert.equal((await mirror.refresh(0)).stale, false)
    assert.equal((await mirror.releases()).length, 2)
  })

  it('is made once by many who ask at the same time, in one process and in several', async () => {
    await using at = await scene()
    const commit = await at.source.release('v1.0.0', { a: 'a' })
    const program = fileURLToPath(new URL('resolve-tag.ts', import.meta.url))
    const others = Array.from({ length: 3 }, () =>
      run(process.execPath, [program, at.source.path, at.mirrorDirectory, 'v1.0.0']),
    )
    const mirror = at.open()
    const own = Array.from({ length: 10 }, () => mirror.resolveTag('v1.0.0'))
    for (const resolved of await Promise.all(own)) assert.equal(resolved?.commit, commit)
    for (const { stdout } of await Promise.all(others)) assert.equal(stdout, commit)
  })

  it('is brought up to date once for all who ask at the same time', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', {})
    const mirror = at.open()
    const answers = await Promise.all(Array.from({ length: 10 }, () => mirror.refresh(0)))
    assert.equal(new Set(answers.map(({ refreshedAt }) => refreshedAt)).size, 1)
  })

  it('waits for the process that has the lock', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', {})
    const mirror = at.open()
    await mirror.refresh(0)
    await at.source.release('v1.1.0', {})
    const held = await lockFile(path.join(at.mirrorDirectory, 'edgesmith-refresh.flock'), 1000)
    const refreshed = mirror.refresh(0)
    const impatient = await at.open({ fetchTimeoutMs: 1 }).refresh(0)
    assert.equal(impatient.stale, true)
    assert.match(impatient.reason ?? '', /not free/)
    assert.equal((await at.open().releases()).length, 1)
    await held[Symbol.asyncDispose]()
    assert.equal((await refreshed).stale, false)
    assert.equal((await mirror.releases()).length, 2)
  })

  it('ends when the service shuts down', async () => {
    await using at = await scene()
    const mirror = at.open({ signal: AbortSignal.abort(new Error('shutting down')) })
    await assert.rejects(mirror.releases(), /shutting down/)
  })

  it('reads a repository that belongs to another user', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', {})
    const isRoot = process.getuid?.() === 0
    for (const directory of isRoot ? ['', '.git'] : [])
      await chown(path.join(at.source.path, directory), 65534, 65534)
    assert.equal((await at.open().releases()).length, 1)
    assert.equal(await git(['config', '--get-all', 'safe.directory']), '*\n')
  })
})

describe('resolveTag', () => {
  it('looks for a tag that it does not know at the remote', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', {})
    const mirror = at.open()
    await mirror.refresh(0)
    const commit = await at.source.release('v1.1.0', {})
    assert.deepEqual(await mirror.resolveTag('v1.1.0'), { tag: 'v1.1.0', commit })
  })

  it('knows no tags but releases', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', {})
    await at.source.git('tag', 'latest')
    for (const tag of [
      'latest',
      'main',
      'HEAD',
      '--help',
      '-v1.0.0',
      '../v1.0.0',
      'v1.0.0^{tree}',
      'v1.0.0 ',
      'v1.0.0-a..b',
      '',
      'v1.0.0\n',
    ]) {
      assert.equal(await at.open().resolveTag(tag), undefined, tag)
    }
  })
})

describe('readFile', () => {
  it('reads a file of a tag', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', { 'a/b.txt': 'one\n', 'k8s_version.json': '{"k3s": ["1.30.4"]}' })
    await at.source.release('v1.1.0', { 'a/b.txt': 'zwei\r\nütf\n', 'k8s_version.json': '[1]' })
    const mirror = at.open()
    assert.equal(await mirror.readFile('v1.0.0', 'a/b.txt'), 'one\n')
    assert.equal(await mirror.readFile('v1.1.0', 'a/b.txt'), 'zwei\r\nütf\n')
    assert.equal(await mirror.readFile('v1.0.0', 'a/c.txt'), undefined)
    assert.equal(await mirror.readFile('v1.2.0', 'a/b.txt'), undefined)
    assert.equal(await mirror.readFile('--help', 'a/b.txt'), undefined)
    assert.deepEqual(await readKubernetesVersions(mirror, 'v1.0.0'), { k3s: ['1.30.4'] })
    await assert.rejects(readKubernetesVersions(mirror, 'v1.1.0'), /k8s_version.json of CanvOS v1.1.0/)
  })

  it('has no Kubernetes versions of a tag without the file', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', {})
    assert.equal(await readKubernetesVersions(at.open(), 'v1.0.0'), undefined)
  })
})

describe('readParsed', () => {
  it('parses a file once between two fetches', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', { a: 'one' })
    const mirror = at.open()
    await mirror.refresh(0)
    const parsed: string[] = []
    const file = {
      path: 'a',
      parse: (text: string, tag: string) => {
        parsed.push(`${tag} ${text}`)
        return { text }
      },
    }
    const first = await mirror.readParsed('v1.0.0', file)
    assert.deepEqual(first, { text: 'one' })
    assert.equal(await mirror.readParsed('v1.0.0', file), first)
    await at.source.release('v1.1.0', { a: 'two' })
    await at.source.git('tag', '--force', 'v1.0.0')
    await at.open().refresh(0)
    assert.deepEqual(await mirror.readParsed('v1.0.0', file), { text: 'two' })
    assert.deepEqual(parsed, ['v1.0.0 one', 'v1.0.0 two'])
    assert.equal(await mirror.readParsed('v1.0.0', { ...file, path: 'b' }), undefined)
  })
})

describe('checkout', () => {
  it('makes an unmodified tree of the tag with a repository of its own', async () => {
    await using at = await scene()
    const commit = await at.source.release('v1.0.0', {
      Earthfile: 'VERSION 0.6\n',
      'scripts/a.sh': 'echo\r\n',
    })
    await at.source.git('update-index', '--chmod=+x', 'scripts/a.sh')
    await at.source.git('commit', '--quiet', '--message', 'mode')
    await at.source.git('tag', '--force', 'v1.0.0')
    const moved = await at.source.git('rev-parse', 'HEAD')
    await at.source.release('v1.1.0', { Earthfile: 'VERSION 0.8\n' })
    assert.notEqual(moved, commit)

    const tree = path.join(at.directory, 'tree')
    assert.deepEqual(await at.open().checkout('v1.0.0', tree), { tag: 'v1.0.0', commit: moved })
    assert.equal(await readFile(path.join(tree, 'Earthfile'), 'utf8'), 'VERSION 0.6\n')
    assert.equal(await readFile(path.join(tree, 'scripts/a.sh'), 'utf8'), 'echo\r\n')
    const inTree = async (...command: string[]) => (await run('git', ['-C', tree, ...command])).stdout.trim()
    assert.equal(await inTree('status', '--porcelain', '--ignored'), '')
    assert.equal(await inTree('describe', '--tags', '--abbrev=0'), 'v1.0.0')
    assert.equal(await inTree('rev-list', '--count', 'HEAD'), '1')
    assert.equal(await inTree('remote', 'get-url', 'origin'), at.source.path)
    assert.equal(await inTree('rev-parse', '--absolute-git-dir'), path.join(tree, '.git'))
    assert.ok(!(await readdir(path.join(tree, '.git'))).includes('hooks'))
  })

  it('does not know tags that are not there', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', {})
    await assert.rejects(at.open().checkout('v1.2.3', path.join(at.directory, 'tree')), UnknownTagError)
    await assert.rejects(
      at.open().checkout('--upload-pack=x', path.join(at.directory, 'tree')),
      UnknownTagError,
    )
  })

  it('does not write over a directory that has something in it', async () => {
    await using at = await scene()
    await at.source.release('v1.0.0', {})
    await assert.rejects(
      at.open().checkout('v1.0.0', at.source.path),
      /already exists and is not an empty directory/,
    )
  })
})
