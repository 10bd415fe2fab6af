import type Docker from 'dockerode'
import { unlessStatus } from './docker.ts'
import { EngineError } from './engine-error.ts'

/** What an image says of the containers made of it. */
export type EngineImage = {
  readonly reference: string
  /** Digest of its configuration: the same for the same bytes. */
  readonly id: string
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  readonly environment: ReadonlyMap<string, string>
  /** Directories that would become unnamed volumes. */
  readonly volumes: readonly string[]
}

/**
 * Makes sure that an image is there, pulling it where it is not.
 * @throws EngineError `image-unavailable` when it is neither there nor can be pulled
 */
export async function ensureImage(docker: Docker, reference: string): Promise<EngineImage> {
  const found = (await inspectImage(docker, reference)) ?? (await pullImage(docker, reference))
  const { Entrypoint, Cmd } = found.Config
  // Docker answers null for what an image does not have, whatever the types say.
  const { Env, Volumes } = found.Config as { Env: string[] | null; Volumes: object | null }
  const pairs = (Env ?? []).map((pair): [string, string] => {
    const [name = '', ...value] = pair.split('=')
    return [name, value.join('=')]
  })
  return {
    reference,
    id: found.Id,
    entrypoint: words(Entrypoint),
    command: words(Cmd),
    environment: new Map(pairs),
    volumes: Object.keys(Volumes ?? {}),
  }
}

async function inspectImage(docker: Docker, reference: string): Promise<Docker.ImageInspectInfo | undefined> {
  return unlessStatus([404], docker.getImage(reference).inspect())
}

async function pullImage(docker: Docker, reference: string): Promise<Docker.ImageInspectInfo> {
  try {
    const progress: NodeJS.ReadableStream = await docker.pull(reference)
    const { promise, resolve, reject } = Promise.withResolvers<undefined>()
    docker.modem.followProgress(progress, (error) => {
      if (error === null) resolve(undefined)
      else reject(error)
    })
    await promise
    return await docker.getImage(reference).inspect()
  } catch (error) {
    throw new EngineError(
      'image-unavailable',
      `The engine image ${reference} is not there and cannot be pulled: ${error instanceof Error ? error.message.trim() : String(error)}`,
      { cause: error },
    )
  }
}

function words(value: string | string[] | undefined | null): string[] {
  if (value === undefined || value === null) return []
  return typeof value === 'string' ? [value] : value
}
