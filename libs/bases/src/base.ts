import { BuildEngine, BuildProof, ResolvedImage } from '@edgesmith/contract/build'
import { BuildId, Timestamp } from '@edgesmith/contract/identifiers'
import { Manifest } from '@edgesmith/manifest/manifest'
import { UserDataSlot } from '@edgesmith/stamp/slot'
import { Type, type Static } from 'typebox'

const key = (description: string) => Type.String({ pattern: '^[0-9a-f]{64}$', description })

/**
 * An image that others are made from: what Earthly built, or what was composed from that. Its user-data, where
 * it has any, is a placeholder of which nothing is left in an image that is handed out.
 */
export const Base = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    rootKey: key('Hash of everything but what lies on top of the root file system: see `rootKey`.'),
    layersKey: key("Hash of everything but the user-data's own bytes: see `layersKey`."),
    buildId: Type.Intersect([BuildId], {
      description: 'The build that ran Earthly; for a composed base that of the base it was composed from.',
    }),
    createdAt: Timestamp,
    images: Type.Array(ResolvedImage),
    engine: Type.Optional(BuildEngine),
    manifest: Manifest,
    userData: Type.Optional(UserDataSlot),
    proof: Type.Array(BuildProof.properties.inputs.items, {
      description: 'What was proved of the inputs other than user-data.',
    }),
    unproved: BuildProof.properties.unproved,
  },
  { title: 'Base', additionalProperties: false },
)

export type Base = Static<typeof Base>
