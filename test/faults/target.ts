import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { makeNewLayout, openImageWorkshop } from '../../libs/iso/test/images.ts'

const run = promisify(execFile)

const sector = 2048
/** Room for user-data in the ISO, in bytes: `USER_DATA_RESERVE_BYTES` of the builder. */
export const userDataReserve = 4096

/** What the builds of the harness build: a git repository in the place of CanvOS. */
export type Target = AsyncDisposable & {
  readonly repository: string
  readonly tag: string
  /** Where in its ISO the user-data is, in bytes. */
  readonly offset: number
}

/** Arguments that a build of the target needs. */
export const targetArguments = {
  ARCH: 'amd64',
  OS_DISTRIBUTION: 'ubuntu',
  OS_VERSION: '22.04',
  K8S_DISTRIBUTION: 'k3s',
  ISO_NAME: 'installer',
}

/** User-data of a site. */
export function userDataOf(site: string): Buffer {
  const text = `#cloud-config\nstylus:\n  site:\n    edgeHostToken: "aUA3f9Kq27Lw0ChYCrO"\n    name: "${site}"\n    projectName: faults\n`
  return Buffer.from(text)
}

/** Makes the repository, with an ISO that has the user-data of no site. */
export async function makeTarget(): Promise<Target> {
  await using resources = new AsyncDisposableStack()
  const repository = await mkdtemp(join(tmpdir(), 'edgesmith-fault-target-'))
  resources.defer(() => rm(repository, { recursive: true, force: true }))
  const placeholder = Buffer.alloc(userDataReserve, 'the place of the user-data\n')
  await using workshop = await openImageWorkshop()
  await writeFile(join(workshop.directory, 'tree/files-iso/config.yaml'), placeholder)
  const image = await readFile(await makeNewLayout(workshop.directory))
  const offset = image.indexOf(placeholder)
  if (offset === -1 || offset % sector !== 0) throw new Error('The ISO does not have its user-data.')
  await cp(join(import.meta.dirname, 'canvos'), repository, { recursive: true })
  await writeFile(join(repository, 'image.iso'), image)
  await writeFile(join(repository, 'offset'), `${offset / sector}\n`)
  const git = (...words: string[]) =>
    run('git', ['-C', repository, '-c', 'user.name=Test', '-c', 'user.email=test@example.com', ...words])
  const tag = 'v4.10.0'
  await git('init', '--quiet', '--initial-branch=main')
  await git('add', '--all', '--force')
  await git('commit', '--quiet', '--message', 'A target that is built in a second')
  await git('tag', tag)
  const kept = resources.move()
  return { repository, tag, offset, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** Whether an ISO of the target has a user-data in its place. */
export function holdsUserData(image: Buffer, { offset }: Pick<Target, 'offset'>, userData: Buffer): boolean {
  return image.subarray(offset, offset + userData.length).equals(userData)
}
