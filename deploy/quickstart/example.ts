import { createReadStream, createWriteStream, openAsBlob } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip, createZstdCompress } from 'node:zlib'
import { runCommand } from '../setup/command.ts'
import { repositoryDirectory } from '../setup/paths.ts'

const exampleDirectory = join(repositoryDirectory, 'examples/quickstart')

/** Packs a directory's files, the same bytes each time, and compresses them. */
async function packDirectory(
  directory: string,
  file: string,
  compress: ReturnType<typeof createGzip> | ReturnType<typeof createZstdCompress>,
): Promise<void> {
  const archive = `${file}.tar`
  await runCommand('tar', [
    ...['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX'],
    ...['--create', '--file', archive, '--directory', directory, '.'],
  ])
  await pipeline(createReadStream(archive), compress, createWriteStream(file))
}

/** Makes the form of `POST /v1/builds` from `examples/quickstart`, its archives packed on the fly. */
export async function exampleForm(workDirectory: string): Promise<FormData> {
  await mkdir(workDirectory, { recursive: true })
  const contentBundle = join(workDirectory, 'quickstart-content.tar.zst')
  const clusterDefinition = join(workDirectory, 'quickstart-cluster.tgz')
  await Promise.all([
    packDirectory(join(exampleDirectory, 'content'), contentBundle, createZstdCompress()),
    packDirectory(join(exampleDirectory, 'cluster-definition'), clusterDefinition, createGzip()),
  ])
  const form = new FormData()
  const parts: [string, string, string][] = [
    ['spec', join(exampleDirectory, 'spec.yaml'), 'application/yaml'],
    ['userData', join(exampleDirectory, 'user-data'), 'application/octet-stream'],
    ['contentBundle', contentBundle, 'application/zstd'],
    ['clusterDefinition', clusterDefinition, 'application/gzip'],
  ]
  for (const [name, path, type] of parts) form.append(name, await openAsBlob(path, { type }), basename(path))
  return form
}
