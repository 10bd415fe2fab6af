import type { Redis } from 'ioredis'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'

/** What builders tell of themselves to those that compute the same keys. */
export const EngineProfile = Type.Object({
  engine: Type.String({ minLength: 1, description: 'Identity of the images of the build engine.' }),
  userDataReserveBytes: Type.Integer({
    minimum: 1,
    description: 'Bytes that a base reserves for user-data.',
  }),
  insecureRegistries: Type.Array(Type.String(), { description: 'See `INSECURE_REGISTRIES`.' }),
  allowed: Type.Optional(Type.Array(Type.String(), { description: 'See `BUILD_NETWORK_ALLOW`.' })),
  imageDigestTtlSeconds: Type.Integer({ minimum: 1 }),
})

export type EngineProfile = Static<typeof EngineProfile>

const profileKey = 'edgesmith:engine'

/** Tells how this builder makes ISOs; of several builders the one that started last is heard. */
export async function publishEngineProfile(
  redis: Redis,
  profile: Readonly<Omit<EngineProfile, 'insecureRegistries' | 'allowed'>> & {
    readonly insecureRegistries: readonly string[]
    readonly allowed?: readonly string[]
  },
): Promise<void> {
  await redis.set(profileKey, JSON.stringify(profile))
}

/** How builders make ISOs; undefined before the first of them has started. */
export async function readEngineProfile(redis: Redis): Promise<EngineProfile | undefined> {
  const json = await redis.get(profileKey)
  return json === null ? undefined : Value.Parse(EngineProfile, JSON.parse(json))
}
