import { declaredArguments } from '../src/earthfile.ts'
import type { DeclaredArgument } from '../src/earthfile.ts'
import type { KubernetesVersions } from '../src/kubernetes-versions.ts'

/** What four CanvOS tags declare, each as what it adds to the one before. */
const since: Record<string, string> = {
  'v4.3.3':
    'ARCH OS_DISTRIBUTION OS_VERSION IMAGE_REGISTRY IMAGE_REPO=$OS_DISTRIBUTION K8S_DISTRIBUTION CUSTOM_TAG CLUSTERCONFIG DISABLE_SELINUX=true FIPS_ENABLED=false HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy=${HTTP_PROXY} PROXY_CERT_PATH UPDATE_KERNEL=false SPECTRO_PUB_REPO=registry.example.com PE_VERSION=v4.3.3 TARGETARCH',
  'v4.5.15':
    'K8S_VERSION ISO_NAME=installer CIS_HARDENING=false EDGE_CUSTOM_CONFIG=.edge-custom-config.yaml IS_UKI=false INCLUDE_MS_SECUREBOOT_KEYS=true AUTO_ENROLL_SECUREBOOT_KEYS=false UKI_BRING_YOUR_OWN_KEYS=false TWO_NODE=false UBUNTU_PRO_KEY DEBUG=false CMDLINE="stylus.registration" ALPINE_IMG=$SPECTRO_PUB_REPO/alpine:3.20',
  'v4.9.36':
    'FORCE_INTERACTIVE_INSTALL=false IS_MAAS=false MAAS_IMAGE_NAME=kairos-ubuntu-maas DRBD_VERSION="9.2.13"',
  'v4.10.0-rc.10':
    'UBUNTU_PRO_ATTACH=false BUNDLE_K8S_AND_AGENT_PROVIDER=false INSTALL_NVIDIA_GPU_DRIVERS=false NVIDIA_DRIVER_BRANCH=580 NVIDIA_DRIVER_TYPE=open INSTALL_AMD_GPU_DRIVERS=false AMDGPU_DRIVER_SOURCE=dkms AMDGPU_ARTIFACT_PATH="" ENROLL_SPECTRO_EXTENSION_CERT=true',
}
const removed: Record<string, string[]> = {
  'v4.5.15': ['PROXY_CERT_PATH'],
  'v4.10.0-rc.10': ['UBUNTU_PRO_KEY'],
}

export type Tag = 'v4.3.3' | 'v4.5.15' | 'v4.9.36' | 'v4.10.0-rc.10'

/** What the Earthfile of a tag declares. */
export function declaredBy(tag: Tag): DeclaredArgument[] {
  const names: string[] = []
  for (const [release, added] of Object.entries(since)) {
    names.push(...added.split(' '))
    for (const gone of removed[release] ?? []) names.splice(names.indexOf(gone), 1)
    if (release === tag) break
  }
  const base =
    'IF [ "$OS_DISTRIBUTION" = "ubuntu" ]\n    ARG BASE_IMAGE=$SPECTRO_PUB_REPO/ubuntu\nELSE\n    ARG BASE_IMAGE\nEND\n'
  return declaredArguments(`VERSION 0.6\n${names.map((name) => `ARG ${name}\n`).join('')}${base}iso:\n`)
}

export const kubernetesVersions: KubernetesVersions = {
  k3s: ['1.29.9', '1.30.4', '1.30.5', '1.32.3'],
  rke2: ['1.30.4'],
  kubeadm: ['1.30.4'],
  'kubeadm-fips': ['1.30.4'],
  nodeadm: ['1.30.4'],
}
