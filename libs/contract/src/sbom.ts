import { Type, type Static } from 'typebox'

/** Media type of a CycloneDX document in JSON (IANA). */
export const cycloneDxMediaType = 'application/vnd.cyclonedx+json'

const Component = Type.Object({
  type: Type.String(),
  name: Type.String(),
  version: Type.Optional(Type.String()),
  purl: Type.Optional(Type.String({ description: 'Package URL.' })),
})

/** The packages of a root file system: what is looked at of a CycloneDX document, which has more. */
export const Sbom = Type.Object(
  {
    bomFormat: Type.Literal('CycloneDX'),
    specVersion: Type.String(),
    serialNumber: Type.Optional(Type.String()),
    metadata: Type.Record(Type.String(), Type.Unknown()),
    components: Type.Array(Component),
  },
  {
    title: 'Sbom',
    description: 'A software bill of materials, CycloneDX.',
    examples: [
      {
        bomFormat: 'CycloneDX',
        specVersion: '1.6',
        metadata: {},
        components: [
          {
            type: 'library',
            name: 'bash',
            version: '5.2.15-2+b8',
            purl: 'pkg:deb/debian/bash@5.2.15-2%2Bb8?arch=amd64&distro=debian-12',
          },
        ],
      },
    ],
  },
)

export type Sbom = Static<typeof Sbom>
