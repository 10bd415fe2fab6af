import type { ResolvedImage } from '@edgesmith/contract/build'
import { parseAllowance } from '@edgesmith/outgoing/address-policy'
import { Outgoing } from '@edgesmith/outgoing/outgoing'
import type { Redis } from 'ioredis'
import { Agent, request, type Dispatcher } from 'undici'
import { parseImageReference, type ImageReference } from './image-reference.ts'

export type ImageDigestsOptions = {
  readonly redis: Redis
  /** Registries, `host:port`, that are reached over HTTP or whose certificates are not checked. */
  readonly insecureRegistries: readonly string[]
  /**
   * What may be asked besides public addresses, for an image's reference is the word of whoever builds:
   * `host:port`, `host`, or networks.
   */
  readonly allowed: readonly string[]
  /** How long an answer of a registry holds, in seconds. */
  readonly ttlSeconds: number
  /** How long a registry is waited for, in milliseconds. */
  readonly timeoutMs?: number
}

/** What a registry knows somebody by. */
export type Credentials = { readonly username: string; readonly password: string }

/** What became of the images that a base was built from. */
export type ImageJudgement = {
  /** Those that their references no longer stand for. */
  readonly moved: ResolvedImage[]
  /** References whose registry did not answer. */
  readonly unknown: string[]
}

/** Seconds for which a registry that did not answer is not asked again. */
const silenceSeconds = 30

const defaultTimeoutMs = 2000

/** Media types of manifests: an index where there is one (OCI distribution specification, "Pulling manifests"). */
const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

const digestPattern = /^sha256:[0-9a-f]{64}$/

/** `Bearer realm="…",service="…",scope="…"` (RFC 6750 and the distribution project's token specification). */
const challengeParameter = /(?<![a-z])(?<name>[a-z]+)="(?<value>[^"]*)"/g

/** Asks registries which image a reference stands for, and remembers the answers in Redis for a while. */
export class ImageDigests implements AsyncDisposable {
  readonly #options: ImageDigestsOptions
  readonly #unchecked: Agent
  readonly #outgoing: Outgoing
  readonly #credentials: ReadonlyMap<string, Credentials>
  readonly #isOwner: boolean

  /** @param shared what another one has, which closes it */
  constructor(
    options: ImageDigestsOptions,
    shared?: { unchecked: Agent; outgoing: Outgoing; credentials: ReadonlyMap<string, Credentials> },
  ) {
    this.#options = options
    this.#unchecked = shared?.unchecked ?? new Agent({ connect: { rejectUnauthorized: false } })
    this.#outgoing = shared?.outgoing ?? openOutgoing(options)
    this.#credentials = shared?.credentials ?? new Map()
    this.#isOwner = shared === undefined
  }

  /** The same, known to registries by these credentials. What they tell is remembered for all. */
  as(credentials: ReadonlyMap<string, Credentials>): ImageDigests {
    return new ImageDigests(this.#options, {
      unchecked: this.#unchecked,
      outgoing: this.#outgoing,
      credentials,
    })
  }

  /** Digest of the manifest that a reference stands for; undefined when its registry does not tell. */
  async resolve(reference: string, { fresh = false } = {}): Promise<string | undefined> {
    const parsed = parseImageReference(reference)
    if (parsed.digest !== undefined) return parsed.digest
    const { redis, ttlSeconds } = this.#options
    const key = `edgesmith:image-digest:${reference}`
    const known = fresh ? null : await redis.get(key)
    const credentials = this.#credentials.get(
      parsed.registry.replace(/^registry-1\.docker\.io$/, 'docker.io'),
    )
    // What is not told to everybody can be told to whom the registry knows.
    if (known !== null && (known !== '' || credentials === undefined)) return known === '' ? undefined : known
    const digest = await this.#ask(parsed, credentials)
    await redis.set(key, digest ?? '', 'EX', digest === undefined ? silenceSeconds : ttlSeconds)
    return digest
  }

  /** Judges whether references still stand for the images that they stood for. */
  async judge(images: readonly ResolvedImage[]): Promise<ImageJudgement> {
    const digests = await Promise.all(images.map(({ reference }) => this.resolve(reference)))
    return {
      moved: images.filter(({ digest }, index) => digests[index] !== undefined && digests[index] !== digest),
      unknown: images
        .filter((_image, index) => digests[index] === undefined)
        .map(({ reference }) => reference),
    }
  }

  async #ask(image: ImageReference, credentials: Credentials | undefined): Promise<string | undefined> {
    const { insecureRegistries, timeoutMs = defaultTimeoutMs } = this.#options
    const signal = AbortSignal.timeout(timeoutMs)
    if (!insecureRegistries.includes(image.registry)) {
      const { dispatcher } = this.#outgoing
      return this.#unlessSilent(() =>
        askRegistry(`https://${image.registry}`, image, { signal, credentials, dispatcher }),
      )
    }
    return (
      (await this.#unlessSilent(() =>
        askRegistry(`http://${image.registry}`, image, { signal, credentials, dispatcher: this.#unchecked }),
      )) ??
      (await this.#unlessSilent(() =>
        askRegistry(`https://${image.registry}`, image, { signal, credentials, dispatcher: this.#unchecked }),
      ))
    )
  }

  /** Any trouble with a registry means the same here: it does not tell. */
  async #unlessSilent(ask: () => Promise<string | undefined>): Promise<string | undefined> {
    try {
      return await ask()
    } catch (error) {
      if (error instanceof Error) return undefined
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOwner) return
    await this.#unchecked.close()
    await this.#outgoing[Symbol.asyncDispose]()
  }
}

function openOutgoing({ allowed, timeoutMs = defaultTimeoutMs }: ImageDigestsOptions): Outgoing {
  const allowances = allowed.map(parseAllowance).filter((allowance) => allowance !== undefined)
  return new Outgoing({ allowances, timeoutMs })
}

type Transport = { readonly signal: AbortSignal; readonly dispatcher: Dispatcher }
type Asking = Transport & { readonly credentials: Credentials | undefined }

/** @throws what the connection fails with */
async function askRegistry(
  origin: string,
  { name, reference }: ImageReference,
  { credentials, ...transport }: Asking,
): Promise<string | undefined> {
  const url = `${origin}/v2/${name}/manifests/${reference}`
  const head = async (headers: Record<string, string>) => {
    const response = await request(url, {
      method: 'HEAD',
      headers: { accept: manifestTypes, ...headers },
      ...transport,
    })
    await response.body.dump()
    return response
  }
  let response = await head({})
  if (response.statusCode === 401) {
    const challenge = String(response.headers['www-authenticate'] ?? '')
    const authorization = await answerTo(challenge, origin, { credentials, ...transport })
    if (authorization !== undefined) response = await head({ authorization })
  }
  const digest = String(response.headers['docker-content-digest'] ?? '')
  return response.statusCode === 200 && digestPattern.test(digest) ? digest : undefined
}

/** The header that answers a registry's challenge; undefined where there is none. */
async function answerTo(challenge: string, origin: string, asking: Asking): Promise<string | undefined> {
  if (/^basic\b/i.test(challenge)) return asking.credentials && basic(asking.credentials)
  const token = await fetchToken(challenge, origin, asking)
  return token === undefined ? undefined : `Bearer ${token}`
}

function basic({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/**
 * A token for whom the credentials are of, or for anybody, from where the registry says; never over plain HTTP
 * for a registry behind TLS.
 */
async function fetchToken(
  challenge: string,
  origin: string,
  { credentials, ...transport }: Asking,
): Promise<string | undefined> {
  const parameters = new Map(
    [...challenge.matchAll(challengeParameter)].map(({ groups }) => [
      groups?.['name'],
      groups?.['value'] ?? '',
    ]),
  )
  const realm = URL.parse(parameters.get('realm') ?? '')
  if (!/^bearer /i.test(challenge) || realm === null) return undefined
  if (realm.protocol !== 'https:' && realm.protocol !== new URL(origin).protocol) return undefined
  for (const name of ['service', 'scope']) {
    const value = parameters.get(name)
    if (value !== undefined) realm.searchParams.set(name, value)
  }
  const headers = credentials === undefined ? {} : { authorization: basic(credentials) }
  const response = await request(realm, { ...transport, headers })
  if (response.statusCode !== 200) {
    await response.body.dump()
    return undefined
  }
  const answer = (await response.body.json()) as { token?: unknown; access_token?: unknown }
  const token = answer.token ?? answer.access_token
  return typeof token === 'string' ? token : undefined
}
