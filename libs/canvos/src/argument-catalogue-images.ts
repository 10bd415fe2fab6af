import type { ArgumentDefinition } from './argument-definition.ts'
import { choice, image, pattern, plainName, registry, repository, semanticVersion } from './argument-types.ts'

const documentation = 'Edge Artifact Build Configurations'
const provider = ['provider-images', 'all-images'] as const

/** What is built: system, Kubernetes, and the names of the results. */
export const imageArguments: readonly ArgumentDefinition[] = [
  {
    name: 'ARCH',
    type: choice('amd64', 'arm64'),
    description: 'Architecture of the images.',
    source: documentation,
    since: '4.0.2',
    readBy: 'earthfile',
    requiredFor: ['iso', 'provider-images', 'all-images'],
  },
  {
    name: 'IMAGE_REGISTRY',
    type: registry,
    description: 'Registry and namespace that provider images are pushed to.',
    source: documentation,
    readBy: 'earthfile',
    mayBeEmpty: true,
    requiredFor: provider,
  },
  {
    name: 'IMAGE_REPO',
    type: repository,
    description: 'Repository of the provider images.',
    source: documentation,
    default: '$OS_DISTRIBUTION',
    readBy: 'earthfile',
  },
  {
    name: 'OS_DISTRIBUTION',
    type: choice('ubuntu', 'opensuse-leap', 'rhel', 'sles', 'hadron'),
    description: 'Distribution of the operating system.',
    source: `${documentation}; CanvOS README (sles); Build Hadron Images`,
    readBy: 'earthfile',
    mayBeEmpty: true,
  },
  {
    name: 'OS_VERSION',
    type: pattern(/^v?[0-9]+(\.[0-9]+)*$/, 'a version such as “22.04”'),
    description: 'Version of the operating system: 20.04, 22.04 or 24.04 of Ubuntu, 15.x of openSUSE Leap.',
    source: `${documentation}; CanvOS README`,
    readBy: 'earthfile',
    mayBeEmpty: true,
    deprecatedValues: { '20': 'Ubuntu 20 is deprecated and will be removed. Build on 22.04 or 24.04.' },
  },
  {
    name: 'BASE_IMAGE',
    type: image,
    description:
      'Image that provider images and the installer are built from, in place of the published Kairos image.',
    source: documentation,
    readBy: 'earthfile',
    mayBeEmpty: true,
  },
  {
    name: 'K8S_DISTRIBUTION',
    type: choice('k3s', 'rke2', 'kubeadm', 'kubeadm-fips', 'nodeadm', 'canonical'),
    description: 'Kubernetes distribution of the provider images.',
    source: documentation,
    readBy: 'earthfile',
    mayBeEmpty: true,
    requiredFor: provider,
    previewValues: {
      canonical:
        'Palette Optimized Canonical is a Tech Preview and subject to change. Do not use it in production.',
    },
  },
  {
    name: 'K8S_VERSION',
    type: semanticVersion,
    description:
      'Kubernetes version of the provider images; every version of the distribution when left out.',
    source: documentation,
    readBy: 'target',
    mayBeEmpty: true,
  },
  {
    name: 'CUSTOM_TAG',
    type: pattern(
      /^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/,
      'lowercase letters, digits and “-”, 64 at the most',
    ),
    description: 'End of the provider images’ tag.',
    source: `${documentation}; Build Provider Images (palette-learn)`,
    readBy: 'earthfile',
    mayBeEmpty: true,
  },
  {
    name: 'ISO_NAME',
    type: plainName,
    description: 'Name of the ISO file, without `.iso`.',
    source: documentation,
    default: 'installer',
    readBy: 'target',
  },
]
