import type { ArgumentDefinition } from './argument-definition.ts'
import { boolean, choice, image, pattern, plainName, text } from './argument-types.ts'

const documentation = 'Edge Artifact Build Configurations'
const earthfile = 'CanvOS Earthfile'

/** Trusted Boot and its keys. */
export const trustedBootArguments: readonly ArgumentDefinition[] = [
  {
    name: 'IS_UKI',
    type: boolean,
    description: 'Builds unified kernel images for Trusted Boot.',
    source: documentation,
    default: 'false',
    since: '4.4.2',
    readBy: 'earthfile',
  },
  {
    name: 'AUTO_ENROLL_SECUREBOOT_KEYS',
    type: boolean,
    description: 'Enrols the Secure Boot keys on devices in setup mode.',
    source: documentation,
    default: 'false',
    since: '4.4.2',
    readBy: 'earthfile',
    onlyWith: { name: 'IS_UKI', value: 'true' },
  },
  ...(
    [
      [
        'INCLUDE_MS_SECUREBOOT_KEYS',
        boolean,
        'Adds Microsoft’s keys to the generated Secure Boot keys.',
        'true',
        '4.4.2',
        'earthfile',
      ],
      [
        'UKI_BRING_YOUR_OWN_KEYS',
        boolean,
        'Makes the Secure Boot keys from keys and certificates of one’s own.',
        'false',
        '4.4.2',
        'earthfile',
      ],
      [
        'ENROLL_SPECTRO_EXTENSION_CERT',
        boolean,
        'Adds the certificate of Palette’s systemd extensions to the Secure Boot keys.',
        'true',
        '4.10.0-rc.2',
        'earthfile',
      ],
      [
        'SPECTRO_EXTENSION_CERT_IMAGE',
        image,
        'Image with that certificate.',
        undefined,
        '4.10.0-rc.2',
        'earthfile',
      ],
      [
        'MY_ORG',
        text,
        'Organization named in the generated Secure Boot keys.',
        'ACME Corp',
        '4.4.2',
        'target',
      ],
      [
        'EXPIRATION_IN_DAYS',
        pattern(/^[1-9][0-9]{0,5}$/, 'a number of days'),
        'Days the generated Secure Boot keys are valid.',
        '5475',
        '4.4.2',
        'target',
      ],
    ] as const
  ).map(([name, type, description, preset, since, readBy]) => ({
    name,
    type,
    description,
    source: `${documentation}; ${earthfile} (+uki-genkey)`,
    ...(preset === undefined ? {} : { default: preset }),
    since,
    readBy,
    otherTarget: '+uki-genkey',
  })),
]

/** What other targets of CanvOS read. */
export const otherTargetArguments: readonly ArgumentDefinition[] = [
  {
    name: 'IS_MAAS',
    type: boolean,
    description: 'Prepares the image for MAAS; set by `earthly.sh +maas-image`.',
    source: `${earthfile} and earthly.sh`,
    default: 'false',
    since: '4.8.8',
    readBy: 'earthfile',
  },
  {
    name: 'MAAS_IMAGE_NAME',
    type: plainName,
    description: 'Name of the MAAS image.',
    source: documentation,
    default: 'kairos-ubuntu-maas',
    since: '4.8.8',
    readBy: 'earthfile',
    otherTarget: '+maas-image',
  },
  ...(['REGION', 'S3_BUCKET', 'S3_KEY'] as const).map((name): ArgumentDefinition => ({
    name,
    type: plainName,
    description: {
      REGION: 'AWS region of the bucket.',
      S3_BUCKET: 'S3 bucket for the cloud image.',
      S3_KEY: 'Object key in the bucket.',
    }[name],
    source: documentation,
    since: '4.8.8',
    readBy: 'target',
    mayBeEmpty: true,
    otherTarget: '+aws-cloud-image',
  })),
  {
    name: 'platform',
    type: choice('linux/amd64', 'linux/arm64'),
    description: 'Stands in the README’s example for NVIDIA Jetson.',
    source: 'CanvOS README',
    readBy: 'none',
    deprecated: 'Nothing of CanvOS reads it. Set ARCH and remove it.',
  },
]
