import type { ArgumentDefinition } from './argument-definition.ts'
import { boolean, choice, pattern, text } from './argument-types.ts'

const since = '4.10.0-rc.2'
const nvidia = {
  source: 'CanvOS .arg.template and docs/nvidia-gpu-airgapped.md',
  since,
  readBy: 'earthfile',
} as const
const amd = {
  source: 'CanvOS .arg.template and docs/amd-gpu-airgapped.md',
  since,
  readBy: 'earthfile',
} as const
const withNvidia = { ...nvidia, onlyWith: { name: 'INSTALL_NVIDIA_GPU_DRIVERS', value: 'true' } } as const
const withAmd = { ...amd, onlyWith: { name: 'INSTALL_AMD_GPU_DRIVERS', value: 'true' } } as const

/** The arguments that bake GPU drivers into the image, for GPU operators without a network. */
export const gpuArguments: readonly ArgumentDefinition[] = [
  {
    ...nvidia,
    name: 'INSTALL_NVIDIA_GPU_DRIVERS',
    type: boolean,
    description: 'Installs the NVIDIA data center driver.',
    default: 'false',
  },
  {
    ...withNvidia,
    name: 'NVIDIA_DRIVER_BRANCH',
    type: pattern(/^[0-9]{3,4}$/, 'a driver branch such as “580”'),
    description: 'Branch of the driver.',
    default: '580',
  },
  {
    ...withNvidia,
    name: 'NVIDIA_DRIVER_TYPE',
    type: choice('open', 'proprietary'),
    description: 'Kernel modules of the driver; `open` is required from Hopper on.',
    default: 'open',
  },
  {
    ...withNvidia,
    name: 'NVIDIA_USE_CUDA_REPO',
    type: boolean,
    description: 'Takes the driver from NVIDIA’s own package repository.',
    default: 'true',
  },
  {
    ...withNvidia,
    name: 'NVIDIA_INSTALL_FABRICMANAGER',
    type: boolean,
    description: 'Installs the fabric manager, for NVSwitch systems.',
    default: 'true',
  },
  {
    ...withNvidia,
    name: 'NVIDIA_INSTALL_IMEX',
    type: boolean,
    description: 'Installs IMEX.',
    default: 'true',
  },
  {
    ...withNvidia,
    name: 'NVIDIA_INSTALL_CONTAINER_TOOLKIT',
    type: boolean,
    description: 'Installs the container toolkit on the host.',
    default: 'false',
  },
  {
    ...withNvidia,
    name: 'NVIDIA_REBUILD_INITRD',
    type: boolean,
    description: 'Rebuilds the initrd so that nouveau is kept out early.',
    default: 'true',
  },
  {
    ...amd,
    name: 'INSTALL_AMD_GPU_DRIVERS',
    type: boolean,
    description: 'Installs the AMD Instinct driver.',
    default: 'false',
  },
  {
    ...withAmd,
    name: 'AMDGPU_DRIVER_SOURCE',
    type: choice('dkms', 'inbox'),
    description: 'AMD’s own module (`dkms`, built beforehand by `earthly.sh`) or the kernel’s (`inbox`).',
    default: 'dkms',
  },
  {
    ...withAmd,
    name: 'AMDGPU_DRIVER_RELEASE',
    type: pattern(/^[0-9]+(\.[0-9]+){1,2}$/, 'a release such as “31.40”'),
    description: 'Release of AMD’s driver, for `dkms`.',
    default: '31.40',
  },
  {
    ...withAmd,
    name: 'AMDGPU_ARTIFACT_PATH',
    type: text,
    description: 'The module that was built beforehand, in the CanvOS tree.',
    mayBeEmpty: true,
  },
  {
    ...withAmd,
    name: 'AMDGPU_INSTALL_SMI',
    type: boolean,
    description: 'Installs `amd-smi`.',
    default: 'true',
  },
  {
    ...withAmd,
    name: 'AMDGPU_REBUILD_INITRD',
    type: boolean,
    description: 'Puts the driver into the initrd.',
    default: 'false',
  },
]
