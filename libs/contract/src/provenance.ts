import { Type, type Static } from 'typebox'

/** Media type of an in-toto statement, and of the envelope that signs it (in-toto attestation framework, v1). */
export const inTotoMediaType = 'application/vnd.in-toto+json'

/** A signed statement (Dead Simple Signing Envelope, v1.0.2). */
export const Envelope = Type.Object(
  {
    payloadType: Type.Literal(inTotoMediaType),
    payload: Type.String({ description: 'The statement, JSON in base64.', minLength: 1 }),
    signatures: Type.Array(
      Type.Object(
        {
          keyid: Type.String({ description: 'SHA-256 of the public key (SubjectPublicKeyInfo, DER), hex.' }),
          sig: Type.String({ description: 'Ed25519 signature of the pre-authentication encoding, base64.' }),
        },
        { additionalProperties: false },
      ),
      { minItems: 1 },
    ),
  },
  {
    title: 'ProvenanceEnvelope',
    additionalProperties: false,
    description: 'A signed in-toto statement with SLSA v1 provenance.',
    examples: [
      {
        payloadType: inTotoMediaType,
        payload: 'eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ==',
        signatures: [
          {
            keyid: 'ae0b6f2d1c3e5a7988f4d2b6c1e0a3957f6d8b2c4e1a0f3d5b7c9e8a6d4f2b10',
            sig: 'bm90IGEgc2lnbmF0dXJlLCBidXQgYXMgbG9uZyBhcyBvbmUgd291bGQgYmUgaW4gYmFzZTY0LCA2NCBieXRlcw==',
          },
        ],
      },
    ],
  },
)

/** A key that provenance is verified with. */
export const ProvenanceKey = Type.Object(
  {
    keyId: Type.String({ description: 'As signatures name it.' }),
    isCurrent: Type.Boolean({ description: 'Whether it signs now; the others signed before.' }),
    pem: Type.String({ description: 'The public key as PEM (SubjectPublicKeyInfo).' }),
    jwk: Type.Object(
      { kty: Type.Literal('OKP'), crv: Type.Literal('Ed25519'), x: Type.String(), kid: Type.String() },
      { additionalProperties: false, description: 'The public key as a JSON Web Key (RFC 8037).' },
    ),
  },
  { title: 'ProvenanceKey', additionalProperties: false },
)

/** Answer of `GET /v1/provenance-keys`. */
export const ProvenanceKeyList = Type.Object(
  { items: Type.Array(ProvenanceKey) },
  {
    title: 'ProvenanceKeyList',
    additionalProperties: false,
    examples: [
      {
        items: [
          {
            keyId: 'ae0b6f2d1c3e5a7988f4d2b6c1e0a3957f6d8b2c4e1a0f3d5b7c9e8a6d4f2b10',
            isCurrent: true,
            pem: '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n',
            jwk: {
              kty: 'OKP',
              crv: 'Ed25519',
              x: 'Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE',
              kid: 'ae0b6f2d1c3e5a7988f4d2b6c1e0a3957f6d8b2c4e1a0f3d5b7c9e8a6d4f2b10',
            },
          },
        ],
      },
    ],
  },
)

export type Envelope = Static<typeof Envelope>
export type ProvenanceKey = Static<typeof ProvenanceKey>
