import { hasValue, isTrue } from './argument-rule.ts'
import type { ArgumentRule, RuleContext } from './argument-rule.ts'

/** The versions of each distribution that CanvOS has a base image for. */
const osVersions: Readonly<Record<string, { pattern: RegExp; versions: string }>> = {
  ubuntu: { pattern: /^(20|20\.04|22|22\.04|24\.04)$/, versions: '20.04, 22.04 or 24.04' },
  'opensuse-leap': { pattern: /^15\.[0-9]+$/, versions: '15.6 or another 15.x' },
}

function usesBaseImage(context: RuleContext): boolean {
  return hasValue(context, 'BASE_IMAGE')
}

function anyOf(context: RuleContext, name: string, values: string[]): boolean {
  return values.includes(context.value(name) ?? '')
}

/** Rules about the operating system, the architecture and Kubernetes. */
export const platformRules: readonly ArgumentRule[] = [
  {
    code: 'arguments.base-image-required',
    severity: 'error',
    rule: 'There is a published base image for ubuntu and opensuse-leap only; anything else needs BASE_IMAGE.',
    source: 'CanvOS Earthfile and README; Build RHEL 9 STIG Images',
    check: (context) => {
      if (usesBaseImage(context)) return undefined
      const distribution = context.value('OS_DISTRIBUTION')
      if (distribution === '') {
        return {
          about: 'OS_DISTRIBUTION',
          message:
            'Neither OS_DISTRIBUTION nor BASE_IMAGE is set, so there is nothing to build on. Set OS_DISTRIBUTION and OS_VERSION, for example to ubuntu and 22.04.',
        }
      }
      if (distribution !== 'rhel' && distribution !== 'sles') return undefined
      return {
        about: 'OS_DISTRIBUTION',
        message: `There is no published base image for ${distribution}. Build one as CanvOS describes and name it in BASE_IMAGE.`,
      }
    },
  },
  {
    code: 'arguments.os-version-required',
    severity: 'error',
    rule: 'Without BASE_IMAGE, ubuntu and opensuse-leap need OS_VERSION.',
    source: 'CanvOS Earthfile (BASE_IMAGE_TAG)',
    check: (context) => {
      if (usesBaseImage(context) || !anyOf(context, 'OS_DISTRIBUTION', Object.keys(osVersions)))
        return undefined
      if (context.value('OS_VERSION') !== '') return undefined
      return {
        about: 'OS_VERSION',
        message: `OS_VERSION is not set. Set it to ${osVersions[context.value('OS_DISTRIBUTION') ?? '']?.versions ?? ''}.`,
      }
    },
  },
  {
    code: 'arguments.os-version',
    severity: 'error',
    rule: 'OS_VERSION is a version that OS_DISTRIBUTION has.',
    source: 'Edge Artifact Build Configurations; CanvOS os_version.json and README',
    check: (context) => {
      const distribution = context.value('OS_DISTRIBUTION') ?? ''
      const version = context.value('OS_VERSION') ?? ''
      const known = Object.hasOwn(osVersions, distribution) ? osVersions[distribution] : undefined
      if (known === undefined || version === '' || known.pattern.test(version)) return undefined
      return {
        about: 'OS_VERSION',
        message: `CanvOS has no base image for ${distribution} ${version}. Set OS_VERSION to ${known.versions}.`,
      }
    },
  },
  {
    code: 'arguments.update-kernel-os-version',
    severity: 'warning',
    rule: 'UPDATE_KERNEL=true on Ubuntu needs OS_VERSION in full: the kernel package is named after it.',
    source: 'CanvOS Earthfile (linux-image-generic-hwe-$OS_VERSION)',
    check: (context) => {
      const version = context.value('OS_VERSION') ?? ''
      if (
        !isTrue(context, 'UPDATE_KERNEL') ||
        !anyOf(context, 'OS_DISTRIBUTION', ['ubuntu']) ||
        !/^[0-9]+$/.test(version)
      )
        return undefined
      return {
        about: 'OS_VERSION',
        message: `With UPDATE_KERNEL=true CanvOS installs linux-image-generic-hwe-${version}, which Ubuntu does not have. Write OS_VERSION=${version}.04.`,
      }
    },
  },
  {
    code: 'arguments.update-kernel-arm64',
    severity: 'warning',
    rule: 'UPDATE_KERNEL has no effect on arm64.',
    source: 'CanvOS Earthfile (+base-image)',
    check: (context) =>
      isTrue(context, 'UPDATE_KERNEL') && anyOf(context, 'ARCH', ['arm64'])
        ? {
            about: 'UPDATE_KERNEL',
            message:
              'CanvOS updates the kernel on amd64 only; for arm64, name a BASE_IMAGE with the kernel you need.',
          }
        : undefined,
  },
  {
    code: 'arguments.cis-hardening-platform',
    severity: 'warning',
    rule: 'CIS_HARDENING has an effect on ubuntu and amd64 only.',
    source: 'CanvOS Earthfile (+base-image)',
    check: (context) => {
      if (!isTrue(context, 'CIS_HARDENING')) return undefined
      if (anyOf(context, 'OS_DISTRIBUTION', ['ubuntu']) && !anyOf(context, 'ARCH', ['arm64']))
        return undefined
      return {
        about: 'CIS_HARDENING',
        message:
          'CanvOS hardens ubuntu on amd64 only: these images would not be hardened. Harden the BASE_IMAGE instead.',
      }
    },
  },
  {
    code: 'arguments.two-node-platform',
    severity: 'error',
    rule: 'TWO_NODE needs amd64, and ubuntu or opensuse-leap.',
    source: 'CanvOS Earthfile (+provider-image, PostgreSQL and kine)',
    check: (context) => {
      if (!isTrue(context, 'TWO_NODE')) return undefined
      if (anyOf(context, 'ARCH', ['arm64'])) {
        return {
          about: 'TWO_NODE',
          message:
            'CanvOS installs what two-node clusters need on amd64 only. Set TWO_NODE to false or ARCH to amd64.',
        }
      }
      if (anyOf(context, 'OS_DISTRIBUTION', ['rhel', 'sles', 'hadron'])) {
        return {
          about: 'TWO_NODE',
          message:
            'CanvOS builds two-node images on ubuntu and opensuse-leap only. Set TWO_NODE to false, or another OS_DISTRIBUTION.',
        }
      }
      return undefined
    },
  },
  {
    code: 'arguments.hadron',
    severity: 'error',
    rule: 'hadron goes with neither canonical Kubernetes nor IS_UKI.',
    source: 'Build Hadron Images',
    check: (context) => {
      if (!anyOf(context, 'OS_DISTRIBUTION', ['hadron'])) return undefined
      if (anyOf(context, 'K8S_DISTRIBUTION', ['canonical'])) {
        return {
          about: 'K8S_DISTRIBUTION',
          message: 'Canonical Kubernetes is not supported on hadron. Choose another K8S_DISTRIBUTION.',
        }
      }
      return isTrue(context, 'IS_UKI')
        ? {
            about: 'IS_UKI',
            message: 'Unified kernel images are not supported on hadron. Set IS_UKI to false.',
          }
        : undefined
    },
  },
  {
    code: 'arguments.kubernetes-distribution',
    severity: 'error',
    rule: 'K8S_DISTRIBUTION is one that the tag has versions of.',
    source: 'CanvOS k8s_version.json of the tag (v4.4.12 and later)',
    check: ({ kubernetesVersions, tag, value, isGiven }) => {
      const distribution = value('K8S_DISTRIBUTION') ?? ''
      if (kubernetesVersions === undefined || distribution === '' || !isGiven('K8S_DISTRIBUTION'))
        return undefined
      if (Object.hasOwn(kubernetesVersions, distribution)) return undefined
      return {
        about: 'K8S_DISTRIBUTION',
        message: `CanvOS ${tag} has no versions of ${distribution}. Choose one of ${Object.keys(kubernetesVersions).join(', ')}, or another tag.`,
      }
    },
  },
  {
    code: 'arguments.kubernetes-version',
    severity: 'error',
    rule: 'K8S_VERSION is one that the tag lists for K8S_DISTRIBUTION.',
    source: 'CanvOS k8s_version.json of the tag (v4.4.12 and later)',
    check: ({ kubernetesVersions = {}, tag, value }) => {
      const distribution = value('K8S_DISTRIBUTION') ?? ''
      const version = value('K8S_VERSION') ?? ''
      const versions = Object.hasOwn(kubernetesVersions, distribution)
        ? kubernetesVersions[distribution]
        : undefined
      if (versions === undefined || version === '' || versions.includes(version)) return undefined
      const minor = version.split('.').slice(0, 2).join('.')
      const near = versions.filter((candidate) => candidate.startsWith(`${minor}.`))
      const offer = near.length > 0 ? near : versions.slice(-5)
      return {
        about: 'K8S_VERSION',
        message: `CanvOS ${tag} does not list ${distribution} ${version}. Choose ${offer.join(', ')}${near.length > 0 ? '' : ' or another listed version'}.`,
      }
    },
  },
]
