import { hasValue, isTrue } from './argument-rule.ts'
import type { ArgumentRule } from './argument-rule.ts'
import { isAtLeast } from './tag.ts'

/** Rules about FIPS, Trusted Boot, Ubuntu Pro and GPU drivers. */
export const featureRules: readonly ArgumentRule[] = [
  {
    code: 'arguments.fips-update-kernel',
    severity: 'error',
    rule: 'FIPS_ENABLED and UPDATE_KERNEL exclude each other.',
    source: 'Edge Artifact Build Configurations; CanvOS Earthfile from v4.9.10',
    check: (context) =>
      isTrue(context, 'FIPS_ENABLED') && isTrue(context, 'UPDATE_KERNEL')
        ? {
            about: 'UPDATE_KERNEL',
            message:
              'UPDATE_KERNEL would replace the FIPS kernel. Set UPDATE_KERNEL or FIPS_ENABLED to false.',
          }
        : undefined,
  },
  {
    code: 'arguments.fips-base-image',
    severity: 'error',
    rule: 'FIPS_ENABLED needs BASE_IMAGE.',
    source: 'Edge Artifact Build Configurations; Build FIPS-Compliant Edge Artifacts',
    check: (context) =>
      isTrue(context, 'FIPS_ENABLED') && !hasValue(context, 'BASE_IMAGE')
        ? {
            about: 'FIPS_ENABLED',
            message:
              'FIPS_ENABLED needs a FIPS-compliant base image. Build one as CanvOS describes and name it in BASE_IMAGE.',
          }
        : undefined,
  },
  {
    code: 'arguments.fips-kubernetes',
    severity: 'warning',
    rule: 'With FIPS_ENABLED, only rke2 and kubeadm-fips make FIPS-compliant provider images.',
    source: 'Build FIPS-Compliant Edge Artifacts',
    check: (context) => {
      const distribution = context.value('K8S_DISTRIBUTION') ?? ''
      if (context.target === 'iso' || distribution === '') return undefined
      if (isTrue(context, 'FIPS_ENABLED') && !['rke2', 'kubeadm-fips'].includes(distribution)) {
        return {
          about: 'K8S_DISTRIBUTION',
          message: `Provider images of ${distribution} are not FIPS-compliant. Choose rke2 or kubeadm-fips.`,
        }
      }
      if (distribution === 'kubeadm-fips' && context.value('FIPS_ENABLED') === 'false') {
        return {
          about: 'K8S_DISTRIBUTION',
          message:
            'kubeadm-fips without FIPS_ENABLED=true is not FIPS-compliant. Set FIPS_ENABLED to true, or choose kubeadm.',
        }
      }
      return undefined
    },
  },
  {
    code: 'arguments.fips-trusted-boot',
    severity: 'warning',
    rule: 'FIPS-compliant installers do not work with Secure Boot, which IS_UKI is for.',
    source: 'Build FIPS-Compliant Edge Artifacts (Limitations)',
    check: (context) =>
      isTrue(context, 'FIPS_ENABLED') && isTrue(context, 'IS_UKI')
        ? {
            about: 'IS_UKI',
            message:
              'A FIPS-compliant installer does not work with Secure Boot. Set IS_UKI or FIPS_ENABLED to false.',
          }
        : undefined,
  },
  {
    code: 'arguments.fips-ubuntu-pro',
    severity: 'info',
    rule: 'FIPS on Ubuntu needs an Ubuntu Pro subscription.',
    source: 'Edge Artifact Build Configurations (UBUNTU_PRO_KEY)',
    check: (context) =>
      isTrue(context, 'FIPS_ENABLED') &&
      context.value('OS_DISTRIBUTION') === 'ubuntu' &&
      !isTrue(context, 'UBUNTU_PRO_ATTACH') &&
      !hasValue(context, 'UBUNTU_PRO_KEY')
        ? {
            about: 'FIPS_ENABLED',
            message:
              'Ubuntu’s FIPS packages need Ubuntu Pro: make sure that BASE_IMAGE was built with a subscription.',
          }
        : undefined,
  },
  {
    code: 'arguments.trusted-boot-interactive',
    severity: 'error',
    rule: 'IS_UKI and FORCE_INTERACTIVE_INSTALL exclude each other.',
    source: 'Edge Artifact Build Configurations',
    check: (context) =>
      isTrue(context, 'IS_UKI') && isTrue(context, 'FORCE_INTERACTIVE_INSTALL')
        ? {
            about: 'FORCE_INTERACTIVE_INSTALL',
            message:
              'Unified kernel images have no boot menu entry to force. Set FORCE_INTERACTIVE_INSTALL or IS_UKI to false.',
          }
        : undefined,
  },
  {
    code: 'arguments.trusted-boot-arm64',
    severity: 'error',
    rule: 'IS_UKI needs amd64.',
    source: 'CanvOS Earthfile (+build-uki-iso)',
    check: (context) =>
      isTrue(context, 'IS_UKI') && context.value('ARCH') === 'arm64'
        ? {
            about: 'IS_UKI',
            message:
              'For arm64 CanvOS would make an ordinary ISO without Trusted Boot. Set IS_UKI to false or ARCH to amd64.',
          }
        : undefined,
  },
  {
    code: 'arguments.trusted-boot-keys',
    severity: 'error',
    rule: 'IS_UKI needs Secure Boot keys, the input secureBoot.',
    source: 'CanvOS Earthfile (COPY secure-boot/…)',
    check: (context) =>
      isTrue(context, 'IS_UKI') && context.value('ARCH') !== 'arm64' && !context.isSent('secureBoot')
        ? {
            about: 'IS_UKI',
            message:
              'Trusted Boot images are signed with the keys in secure-boot/. Send them as the input secureBoot, a tar of that directory, or set IS_UKI to false.',
          }
        : undefined,
  },
  {
    code: 'arguments.ubuntu-pro-key',
    severity: 'error',
    rule: 'From v4.10.0 on, UBUNTU_PRO_KEY is a secret and never an argument.',
    source: 'CanvOS .arg.template and earthly.sh',
    check: ({ isGiven, value, declares, tag }) => {
      if (
        !isGiven('UBUNTU_PRO_KEY') ||
        value('UBUNTU_PRO_KEY') === '' ||
        declares?.('UBUNTU_PRO_KEY') === true
      )
        return undefined
      if (declares === undefined && !isSecretTag(tag)) return undefined
      return {
        about: 'UBUNTU_PRO_KEY',
        message: `CanvOS ${tag} takes the Ubuntu Pro token as a build secret only; as an argument it would leak into images and logs. Store it with PUT /v1/secrets, name that secret in secrets.ubuntuPro of the spec, remove the argument, and replace the token if others could read it.`,
      }
    },
  },
  {
    code: 'arguments.ubuntu-pro-key-leak',
    severity: 'error',
    rule: 'Before v4.10.0, UBUNTU_PRO_KEY is an ordinary argument that stays readable: it is refused.',
    source: 'CanvOS .arg.template (v4.10.0, on the tags before)',
    check: ({ isGiven, value, declares, tag }) => {
      if (!isGiven('UBUNTU_PRO_KEY') || value('UBUNTU_PRO_KEY') === '') return undefined
      if (!(declares?.('UBUNTU_PRO_KEY') ?? !isSecretTag(tag))) return undefined
      return {
        about: 'UBUNTU_PRO_KEY',
        message: `CanvOS ${tag} takes the Ubuntu Pro token as a plain argument: it would stay readable in the log, in the cache and in the history of images. Remove it, and build a tag from v4.10.0 on, which takes it as a secret (secrets.ubuntuPro of the spec).`,
      }
    },
  },
  {
    code: 'arguments.ubuntu-pro-secret',
    severity: 'error',
    rule: 'UBUNTU_PRO_ATTACH needs the build secret UBUNTU_PRO_KEY.',
    source: 'CanvOS Earthfile (RUN --secret UBUNTU_PRO_KEY)',
    check: (context) =>
      isTrue(context, 'UBUNTU_PRO_ATTACH') && !context.secrets.includes('UBUNTU_PRO_KEY')
        ? {
            about: 'UBUNTU_PRO_ATTACH',
            message:
              'The build would stop for want of the secret UBUNTU_PRO_KEY. Store the token with PUT /v1/secrets, and name that secret in secrets.ubuntuPro of the spec; or set UBUNTU_PRO_ATTACH to false.',
          }
        : undefined,
  },
  {
    code: 'arguments.ubuntu-pro-unused',
    severity: 'warning',
    rule: 'The secret UBUNTU_PRO_KEY is used with UBUNTU_PRO_ATTACH alone.',
    source: 'CanvOS Earthfile (RUN --secret UBUNTU_PRO_KEY)',
    check: (context) =>
      context.secrets.includes('UBUNTU_PRO_KEY') && context.value('UBUNTU_PRO_ATTACH') === 'false'
        ? {
            about: 'UBUNTU_PRO_ATTACH',
            message: `The spec names an Ubuntu Pro token, which CanvOS ${context.tag} uses with UBUNTU_PRO_ATTACH=true alone, and that from v4.10.0 on. Set it, or leave the secret out.`,
          }
        : undefined,
  },
  {
    code: 'arguments.gpu-exclusive',
    severity: 'error',
    rule: 'INSTALL_NVIDIA_GPU_DRIVERS and INSTALL_AMD_GPU_DRIVERS exclude each other.',
    source: 'CanvOS Earthfile from v4.10.0-rc.2',
    check: (context) =>
      isTrue(context, 'INSTALL_NVIDIA_GPU_DRIVERS') && isTrue(context, 'INSTALL_AMD_GPU_DRIVERS')
        ? {
            about: 'INSTALL_AMD_GPU_DRIVERS',
            message:
              'One image takes the drivers of one maker. Set INSTALL_NVIDIA_GPU_DRIVERS or INSTALL_AMD_GPU_DRIVERS to false.',
          }
        : undefined,
  },
  {
    code: 'arguments.gpu-platform',
    severity: 'error',
    rule: 'GPU drivers are installed on ubuntu and amd64 only.',
    source: 'CanvOS Earthfile (+base-image); docs/nvidia-gpu-airgapped.md; docs/amd-gpu-airgapped.md',
    check: (context) => {
      const about = ['INSTALL_NVIDIA_GPU_DRIVERS', 'INSTALL_AMD_GPU_DRIVERS'].find((name) =>
        isTrue(context, name),
      )
      const distribution = context.value('OS_DISTRIBUTION')
      if (about === undefined || distribution === undefined) return undefined
      if (distribution === 'ubuntu' && context.value('ARCH') !== 'arm64') return undefined
      return {
        about,
        message: `CanvOS installs GPU drivers on ubuntu and amd64 only: this image would have none. Set ${about} to false, or OS_DISTRIBUTION and ARCH to those.`,
      }
    },
  },
  {
    code: 'arguments.amd-dkms',
    severity: 'error',
    rule: 'AMDGPU_DRIVER_SOURCE=dkms needs a module that earthly.sh builds beforehand on the host.',
    source: 'CanvOS earthly.sh and docs/amd-gpu-airgapped.md',
    check: (context) =>
      isTrue(context, 'INSTALL_AMD_GPU_DRIVERS') && context.value('AMDGPU_DRIVER_SOURCE') === 'dkms'
        ? {
            about: 'INSTALL_AMD_GPU_DRIVERS',
            message:
              'The dkms driver is built on the host by earthly.sh, which this service does not run. Set AMDGPU_DRIVER_SOURCE to inbox, or name a BASE_IMAGE that has the driver.',
          }
        : undefined,
  },
  {
    code: 'arguments.amd-privileged',
    severity: 'warning',
    rule: 'AMD drivers are installed in a privileged step.',
    source: 'CanvOS Earthfile (RUN --privileged)',
    check: (context) =>
      isTrue(context, 'INSTALL_AMD_GPU_DRIVERS') && context.value('AMDGPU_DRIVER_SOURCE') === 'inbox'
        ? {
            about: 'INSTALL_AMD_GPU_DRIVERS',
            message:
              'CanvOS installs the AMD driver in a privileged step; the build fails where the build engine does not allow those.',
          }
        : undefined,
  },
  {
    code: 'arguments.maas',
    severity: 'warning',
    rule: 'IS_MAAS is for +maas-image, which the service does not build.',
    source: 'CanvOS earthly.sh',
    check: (context) =>
      isTrue(context, 'IS_MAAS')
        ? {
            about: 'IS_MAAS',
            message: 'IS_MAAS prepares images for MAAS, which this service does not build. Set it to false.',
          }
        : undefined,
  },
]

/** From which tag on the token is a secret, where the Earthfile was not read. */
function isSecretTag(tag: string): boolean {
  return isAtLeast(tag, '4.10.0-rc.1')
}
