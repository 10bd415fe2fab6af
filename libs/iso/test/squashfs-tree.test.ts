import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { IsoError } from '@edgesmith/iso/fault'
import { SquashfsTree } from '@edgesmith/iso/squashfs-tree'
import { bufferReader } from '../../../test/support/buffer-reader.ts'

const execute = promisify(execFile)
const limit = 4 * 1024 * 1024

describe('SquashfsTree', () => {
  let directory: string
  /** Large enough for several blocks, a fragment, and a hole. */
  const files: Record<string, Buffer> = {
    '/var/lib/dpkg/status': Buffer.from('Package: bash\nVersion: 5.2\n\n'.repeat(20_000)),
    '/usr/lib/os-release': Buffer.from('ID=debian\n'),
    '/noise': randomBytes(1_000_001),
    '/even': randomBytes(131_072),
    '/empty': Buffer.alloc(0),
    '/holes': Buffer.alloc(700_000),
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'edgesmith-squashfs-'))
    const root = join(directory, 'root')
    for (const [path, bytes] of Object.entries(files)) {
      await mkdir(join(root, path, '..'), { recursive: true })
      await writeFile(join(root, path), bytes)
    }
    await truncate(join(root, 'holes'), 700_000)
    await mkdir(join(root, 'etc'))
    await symlink('../usr/lib/os-release', join(root, 'etc/os-release'))
    await symlink('/usr/lib', join(root, 'lib'))
    await symlink('../../../../../../etc/os-release', join(root, 'outside'))
    await symlink('loop', join(root, 'loop'))
    await mkdir(join(root, 'many'))
    for (let index = 0; index < 1000; index += 1) {
      await writeFile(join(root, 'many', `a-file-of-a-rather-long-name-${index}`), `${index}`)
    }
    await execute('mkfifo', [join(root, 'pipe')])
  })
  after(() => rm(directory, { recursive: true }))

  async function make(...options: string[]): Promise<Buffer> {
    const image = join(directory, 'image')
    await execute('mksquashfs', [
      join(directory, 'root'),
      image,
      ...options,
      '-noappend',
      '-quiet',
      '-no-progress',
    ])
    return readFile(image)
  }

  for (const options of [
    ['-comp', 'gzip'],
    ['-comp', 'xz'],
    ['-comp', 'zstd', '-b', '1M'],
    ['-comp', 'zstd', '-no-fragments'],
    ['-noI', '-noD', '-noF'],
  ]) {
    it(`reads files, links and directories of an image made with ${options.join(' ')}`, async () => {
      const before = randomBytes(4096)
      const image = await make(...options)
      const tree = await SquashfsTree.open(
        bufferReader(Buffer.concat([before, image])),
        before.length,
        image.length,
      )
      for (const [path, bytes] of Object.entries(files)) {
        assert.ok((await tree.readFile(path, limit))?.equals(bytes), path)
      }
      for (const path of ['/etc/os-release', '/lib/os-release', '/outside']) {
        assert.equal((await tree.readFile(path, limit))?.toString(), 'ID=debian\n', path)
      }
      const names = await tree.names('/many')
      assert.equal(names.length, 1000)
      assert.equal(
        (await tree.readFile(`/many/${names[777] ?? ''}`, limit))?.toString(),
        names[777]?.split('-').at(-1),
      )
      for (const path of ['/nothing', '/loop', '/pipe', '/etc', '/empty/x', '/many/../../nothing']) {
        assert.equal(await tree.readFile(path, limit), undefined, path)
      }
      await assert.rejects(tree.readFile('/noise', 1_000_000), IsoError)
    })
  }

  it('refuses compressions that it does not read', async () => {
    const image = await make('-comp', 'lz4')
    const tree = await SquashfsTree.open(bufferReader(image), 0, image.length)
    await assert.rejects(
      tree.readFile('/etc/os-release', limit),
      /compressed with lz4, which is not read here/,
    )
  })

  it('answers a fault, or what is there, whatever bytes are altered, in bounded time and memory', async () => {
    const image = await make('-comp', 'zstd')
    let faults = 0
    for (let round = 0; round < 160; round += 1) {
      const altered = Buffer.from(image)
      // Superblock and tables, at the end of the image, decide where is read.
      const inTables = image.length - 1 - Math.floor((round / 160) * 20_000)
      const at = round % 4 === 0 ? (round / 4) % 96 : inTables
      altered.writeUInt8((altered.readUInt8(at) + 1 + (round % 255)) & 0xff, at)
      try {
        const tree = await SquashfsTree.open(bufferReader(altered), 0, altered.length)
        await tree.readFile('/var/lib/dpkg/status', limit)
        await tree.names('/many')
      } catch (error) {
        assert.ok(error instanceof IsoError, String(error))
        faults += 1
      }
    }
    assert.ok(faults > 40, `${faults} of 160 were faults`)
  })
})
