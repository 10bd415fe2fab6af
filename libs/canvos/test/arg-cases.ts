import type { BuildTarget, InputRole } from '@edgesmith/contract/build-spec'
import type { Tag } from './releases.ts'

/** One `.arg` file and every diagnostic it must have, as `severity code place` with the codes’ prefixes cut. */
export type ArgCase = {
  title: string
  text: string
  /** The lines that every build needs are put in front unless this is set, and lines count without them. */
  alone?: true
  tag?: Tag
  target?: BuildTarget
  sent?: InputRole[]
  /** Names of the build secrets. */
  secrets?: string[]
  expect: string[]
}

/** Syntax: what `.arg` files may hold, whatever the arguments mean. */
export const syntaxCases: ArgCase[] = [
  {
    title: 'comments and blank lines',
    text: '# a comment\n\n  # another "one\n\t\nISO_NAME=a # the name',
    expect: [],
  },
  { title: 'a hash inside of a value', text: 'CMDLINE=a#b', expect: [] },
  { title: 'a value in double quotes', text: 'CMDLINE="one two" # three', expect: [] },
  { title: 'a value in single quotes', text: "CMDLINE='$(one) `two` ; three'", expect: [] },
  { title: 'an escaped dollar', text: 'CMDLINE="5 \\$HOME"', expect: [] },
  { title: 'export', text: 'export ISO_NAME=a', expect: [] },
  { title: 'a reference to a line above', text: 'IMAGE_REPO=$OS_DISTRIBUTION', expect: [] },
  { title: 'a reference in braces and quotes', text: 'IMAGE_REPO="team/${OS_DISTRIBUTION}"', expect: [] },
  { title: 'white space in front and behind', text: '  ISO_NAME=a  \t', expect: [] },
  { title: 'no line break at the end', text: 'ISO_NAME=a', expect: [] },
  {
    title: 'a command substitution',
    text: 'ISO_NAME=$(hostname)',
    expect: ['error file.command-substitution 1:10'],
  },
  { title: 'backticks', text: 'ISO_NAME=`hostname`', expect: ['error file.command-substitution 1:10'] },
  {
    title: 'a command substitution in double quotes',
    text: 'ISO_NAME="iso-$(date)"',
    expect: ['error file.command-substitution 1:15'],
  },
  { title: 'a second command', text: 'ISO_NAME=a;reboot', expect: ['error file.shell-syntax 1:11'] },
  {
    title: 'a command in the background',
    text: 'ISO_NAME=a&reboot',
    expect: ['error file.shell-syntax 1:11'],
  },
  { title: 'a pipe', text: 'ISO_NAME=a|sh', expect: ['error file.shell-syntax 1:11'] },
  { title: 'a redirection', text: 'ISO_NAME=a>b', expect: ['error file.shell-syntax 1:11'] },
  { title: 'an input redirection', text: 'ISO_NAME=<b', expect: ['error file.shell-syntax 1:10'] },
  { title: 'a subshell', text: 'ISO_NAME=(a)', expect: ['error file.shell-syntax 1:10'] },
  { title: 'a space in a bare value', text: 'CMDLINE=one two', expect: ['error file.unquoted-space 1:12'] },
  {
    title: 'two assignments on a line',
    text: 'ISO_NAME=a ARCH=arm64',
    expect: ['error file.unquoted-space 1:11'],
  },
  {
    title: 'a space before the equals sign',
    text: 'ISO_NAME =a',
    expect: ['error file.space-around-equals 1:9'],
  },
  {
    title: 'a space after the equals sign',
    text: 'ISO_NAME= a',
    expect: ['error file.space-around-equals 1:10'],
  },
  {
    title: 'a comment in place of a value',
    text: 'ISO_NAME= # a',
    expect: ['error file.space-around-equals 1:10'],
  },
  { title: 'a word alone', text: 'reboot', expect: ['error file.missing-equals 1:1'] },
  { title: 'export of a name alone', text: 'export ISO_NAME', expect: ['error file.missing-equals 1:1'] },
  { title: 'the YAML form', text: 'ISO_NAME: a', expect: ['error file.missing-equals 1:1'] },
  { title: 'a name with a hyphen', text: 'ISO-NAME=a', expect: ['error file.invalid-name 1:1'] },
  { title: 'a name that begins with a digit', text: '1SO=a', expect: ['error file.invalid-name 1:1'] },
  {
    title: 'a name with letters of another script',
    text: 'АRCH=amd64',
    expect: ['error file.invalid-name 1:1'],
  },
  { title: 'no name', text: '=a', expect: ['error file.invalid-name 1:1'] },
  { title: 'a line of an Earthfile', text: ' ARG ISO_NAME=a', expect: ['error file.invalid-name 1:2'] },
  {
    title: 'a quote inside of a value',
    text: 'CMDLINE=a"b c"',
    expect: ['error file.quote-inside-value 1:10'],
  },
  { title: 'text after a quote', text: 'CMDLINE="a"b', expect: ['error file.text-after-quote 1:12'] },
  {
    title: 'a comment that touches the quote',
    text: 'CMDLINE="a"#b',
    expect: ['error file.text-after-quote 1:12'],
  },
  { title: 'an open double quote', text: 'CMDLINE="a', expect: ['error file.unterminated-quote 1:9'] },
  {
    title: 'an open single quote',
    text: "CMDLINE='a\nISO_NAME=b'",
    expect: ['error file.unterminated-quote 1:9', 'error file.quote-inside-value 2:11'],
  },
  { title: 'a backslash in a bare value', text: 'CMDLINE=a\\b', expect: ['error file.escape 1:10'] },
  { title: 'a continued line', text: 'CMDLINE=a\\\nISO_NAME=b', expect: ['error file.escape 1:10'] },
  { title: 'a line break written as an escape', text: 'CMDLINE="a\\nb"', expect: ['error file.escape 1:11'] },
  {
    title: 'a backslash before the closing quote',
    text: "CMDLINE='a\\'",
    expect: ['error file.ambiguous 1:11'],
  },
  {
    title: 'escapes that only one of the two undoes',
    text: 'CMDLINE="\\\\$ARCH"',
    expect: ['error file.ambiguous 1:9'],
  },
  { title: 'two comments', text: 'CMDLINE=a # b # c', expect: ['error file.ambiguous 1:15'] },
  { title: 'a home directory', text: 'CMDLINE=~/x', expect: ['error file.tilde 1:9'] },
  { title: 'braces after export', text: 'export CMDLINE={a,b}', expect: ['error file.brace 1:16'] },
  {
    title: 'a reference to nothing',
    text: 'IMAGE_REPO=$HOME',
    expect: ['error file.undefined-reference 1:12'],
  },
  {
    title: 'a reference to a line below',
    text: 'IMAGE_REPO=$ISO_NAME\nISO_NAME=a',
    expect: ['error file.undefined-reference 1:12'],
  },
  { title: 'a default in a reference', text: 'IMAGE_REPO=${ARCH:-x}', expect: ['error file.reference 1:12'] },
  {
    title: 'a reference in small letters',
    text: 'http_proxy=http://a\nHTTP_PROXY=$http_proxy',
    expect: ['error file.reference 2:12'],
  },
  { title: 'a dollar alone', text: 'CMDLINE=5$', expect: ['error file.reference 1:10'] },
  {
    title: 'a reference to a line with a fault',
    text: 'CMDLINE=$(a)\nIMAGE_REPO=$CMDLINE',
    expect: ['error file.command-substitution 1:9'],
  },
  {
    title: 'a name that is set twice',
    text: 'ISO_NAME=a\nISO_NAME=b',
    expect: ['warning file.duplicate 2:1'],
  },
  { title: 'a variable of the shell', text: 'PATH=/tmp', expect: ['error file.reserved-name 1:1'] },
  { title: 'a variable that bash runs', text: 'BASH_ENV=/tmp/x', expect: ['error file.reserved-name 1:1'] },
  {
    title: 'a column counted in characters',
    text: 'CMDLINE="🙂ü" x',
    expect: ['error file.text-after-quote 1:13'],
  },
  { title: 'a no-break space', text: 'CMDLINE=a\u00a0b', expect: ['error file.unusual-space 1:10'] },
  { title: 'a control character', text: 'CMDLINE="a\u0007"', expect: ['error file.control-character 1:11'] },
  {
    title: 'a byte order mark',
    text: '\uFEFFARCH=amd64\nOS_DISTRIBUTION=ubuntu\nOS_VERSION=22.04\n',
    alone: true,
    expect: ['error file.byte-order-mark 1:1'],
  },
  {
    title: 'Windows line endings',
    text: 'ARCH=amd64\r\nOS_DISTRIBUTION=ubuntu\r\nOS_VERSION=22.04\r\n',
    alone: true,
    expect: ['error file.carriage-return 1:11'],
  },
  { title: 'a NUL', text: 'ISO_NAME=a\0b', expect: ['error file.null-character 1:11'] },
  {
    title: 'a fault on the line of a required argument',
    text: 'ARCH = amd64\nOS_DISTRIBUTION=ubuntu\nOS_VERSION=22.04\n',
    alone: true,
    expect: ['error file.space-around-equals 1:5'],
  },
]

const provider: Pick<ArgCase, 'target'> = { target: 'provider-images' }
const registry = 'IMAGE_REGISTRY=ttl.sh\n'

/** Meaning: what the arguments of CanvOS may be, alone and together. */
export const meaningCases: ArgCase[] = [
  {
    title: 'nothing at all',
    text: '',
    alone: true,
    expect: ['error required /arguments/ARCH', 'error base-image-required /arguments/OS_DISTRIBUTION'],
  },
  {
    title: 'an empty ARCH',
    text: 'ARCH=\nOS_DISTRIBUTION=ubuntu\nOS_VERSION=22.04',
    alone: true,
    expect: ['error empty 1:6'],
  },
  {
    title: 'an architecture that CanvOS does not build',
    text: 'ARCH=x86_64\nOS_DISTRIBUTION=ubuntu\nOS_VERSION=22.04',
    alone: true,
    expect: ['error invalid-value 1:6'],
  },
  { title: 'a misspelled name', text: 'ISO_NAM=a', expect: ['error unknown 1:9'] },
  { title: 'a name in small letters', text: 'arch=amd64', expect: ['error unknown 1:6'] },
  {
    title: 'a name that the Earthfile declares',
    text: 'ALPINE_IMG=mirror.example.com/alpine:3.20\nDEBUG=true',
    expect: [],
  },
  {
    title: 'a name that the Earthfile of the tag does not declare',
    text: 'ALPINE_IMG=mirror.example.com/alpine',
    tag: 'v4.3.3',
    expect: ['error unknown 1:12'],
  },
  {
    title: 'a name that Earthly sets',
    text: 'TARGETARCH=amd64\nEARTHLY_GIT_HASH=1',
    expect: ['error built-in 1:12', 'error built-in 2:18'],
  },
  { title: 'an ISO name in capitals', text: 'ISO_NAME=Store', expect: ['error invalid-value 1:10'] },
  { title: 'an ISO name with a directory', text: 'ISO_NAME=../a', expect: ['error invalid-value 1:10'] },
  { title: 'an empty ISO name', text: 'ISO_NAME=', expect: ['error empty 1:10'] },
  {
    title: 'a boolean in another spelling',
    text: 'UPDATE_KERNEL=yes\nCIS_HARDENING=True',
    expect: ['error invalid-value 1:15', 'error invalid-value 2:15'],
  },
  { title: 'an empty boolean', text: 'UPDATE_KERNEL=', expect: ['error empty 1:15'] },
  {
    title: 'a registry with a scheme',
    text: 'IMAGE_REGISTRY=https://ttl.sh',
    expect: ['error invalid-value 1:16'],
  },
  {
    title: 'a registry with port and namespace',
    text: 'IMAGE_REGISTRY=registry.example.com:5000/team/edge',
    expect: [],
  },
  { title: 'a repository in capitals', text: 'IMAGE_REPO=Ubuntu', expect: ['error invalid-value 1:12'] },
  { title: 'a custom tag with a hyphen', text: 'CUSTOM_TAG=palette-learn', expect: [] },
  { title: 'a custom tag in capitals', text: 'CUSTOM_TAG=Demo', expect: ['error invalid-value 1:12'] },
  {
    title: 'proxies',
    text: 'HTTP_PROXY=http://proxy:3128\nHTTPS_PROXY=http://user:pw@proxy:3128\nNO_PROXY=.local,10.0.0.0/8',
    expect: [],
  },
  { title: 'a proxy without a scheme', text: 'HTTPS_PROXY=proxy:3128', expect: ['error invalid-value 1:13'] },
  { title: 'exceptions with spaces', text: 'NO_PROXY="a, b"', expect: ['error invalid-value 1:10'] },
  { title: 'a base image', text: 'BASE_IMAGE=docker.io/team/base:v1@sha256:' + 'a'.repeat(64), expect: [] },
  {
    title: 'a base image with a scheme',
    text: 'BASE_IMAGE=https://docker.io/a',
    expect: ['error invalid-value 1:12'],
  },
  {
    title: 'an unknown operating system',
    text: 'ARCH=amd64\nOS_DISTRIBUTION=debian',
    alone: true,
    expect: ['error invalid-value 2:17'],
  },
  {
    title: 'Ubuntu without a version',
    text: 'ARCH=amd64\nOS_DISTRIBUTION=ubuntu',
    alone: true,
    expect: ['error os-version-required /arguments/OS_VERSION'],
  },
  {
    title: 'a version that Ubuntu does not have',
    text: 'ARCH=amd64\nOS_DISTRIBUTION=ubuntu\nOS_VERSION=24',
    alone: true,
    expect: ['error os-version 3:12'],
  },
  {
    title: 'a deprecated version',
    text: 'ARCH=amd64\nOS_DISTRIBUTION=ubuntu\nOS_VERSION=20',
    alone: true,
    expect: ['warning deprecated 3:12'],
  },
  {
    title: 'Ubuntu’s version on openSUSE',
    text: 'ARCH=amd64\nOS_DISTRIBUTION=opensuse-leap\nOS_VERSION=22.04',
    alone: true,
    expect: ['error os-version 3:12'],
  },
  {
    title: 'openSUSE',
    text: 'ARCH=amd64\nOS_DISTRIBUTION=opensuse-leap\nOS_VERSION=15.6',
    alone: true,
    expect: [],
  },
  {
    title: 'RHEL without a base image',
    text: 'ARCH=amd64\nOS_DISTRIBUTION=rhel',
    alone: true,
    expect: ['error base-image-required 2:17'],
  },
  {
    title: 'RHEL with a base image',
    text: 'ARCH=amd64\nOS_DISTRIBUTION=rhel\nBASE_IMAGE=a/rhel:9',
    alone: true,
    expect: [],
  },
  { title: 'a base image alone', text: 'ARCH=amd64\nBASE_IMAGE=a/hadron:1', alone: true, expect: [] },
  {
    title: 'a kernel package that Ubuntu does not have',
    text: 'ARCH=amd64\nOS_DISTRIBUTION=ubuntu\nOS_VERSION=22\nUPDATE_KERNEL=true',
    alone: true,
    expect: ['warning update-kernel-os-version 3:12'],
  },
  { title: 'arm64', text: 'ARCH=arm64\nOS_DISTRIBUTION=ubuntu\nOS_VERSION=22.04', alone: true, expect: [] },
  {
    title: 'what CanvOS leaves out on arm64',
    text: 'ARCH=arm64\nOS_DISTRIBUTION=ubuntu\nOS_VERSION=22.04\nUPDATE_KERNEL=true\nCIS_HARDENING=true',
    alone: true,
    expect: ['warning update-kernel-arm64 4:15', 'warning cis-hardening-platform 5:15'],
  },
  {
    title: 'two nodes on arm64',
    text: 'ARCH=arm64\nOS_DISTRIBUTION=ubuntu\nOS_VERSION=22.04\nTWO_NODE=true',
    alone: true,
    expect: ['error two-node-platform 4:10'],
  },
  {
    title: 'two nodes on RHEL',
    text: 'ARCH=amd64\nOS_DISTRIBUTION=rhel\nBASE_IMAGE=a/rhel\nTWO_NODE=true',
    alone: true,
    expect: ['error two-node-platform 4:10'],
  },
  {
    title: 'hadron with canonical Kubernetes',
    text: 'ARCH=amd64\nOS_DISTRIBUTION=hadron\nOS_VERSION=v0.5.1\nK8S_DISTRIBUTION=canonical',
    alone: true,
    expect: ['warning tech-preview 4:18', 'error hadron 4:18', 'error kubernetes-distribution 4:18'],
  },
  {
    title: 'FIPS and a new kernel',
    text: 'FIPS_ENABLED=true\nUPDATE_KERNEL=true\nBASE_IMAGE=a/fips',
    expect: ['error fips-update-kernel 2:15', 'info fips-ubuntu-pro 1:14'],
  },
  {
    title: 'FIPS without a base image',
    text: 'FIPS_ENABLED=true',
    expect: ['error fips-base-image 1:14', 'info fips-ubuntu-pro 1:14'],
  },
  {
    title: 'FIPS and Trusted Boot',
    text: 'FIPS_ENABLED=true\nBASE_IMAGE=a/fips\nIS_UKI=true',
    expect: ['warning fips-trusted-boot 3:8', 'info fips-ubuntu-pro 1:14', 'error trusted-boot-keys 3:8'],
  },
  {
    title: 'FIPS with k3s',
    text: `${registry}K8S_DISTRIBUTION=k3s\nFIPS_ENABLED=true\nBASE_IMAGE=a/fips`,
    ...provider,
    expect: ['warning fips-kubernetes 2:18', 'info fips-ubuntu-pro 3:14'],
  },
  {
    title: 'FIPS with rke2',
    text: `${registry}K8S_DISTRIBUTION=rke2\nFIPS_ENABLED=true\nBASE_IMAGE=a/fips`,
    ...provider,
    expect: ['info fips-ubuntu-pro 3:14'],
  },
  {
    title: 'kubeadm-fips without FIPS',
    text: `${registry}K8S_DISTRIBUTION=kubeadm-fips`,
    ...provider,
    expect: ['warning fips-kubernetes 2:18'],
  },
  {
    title: 'Trusted Boot and the interactive installer',
    text: 'IS_UKI=true\nFORCE_INTERACTIVE_INSTALL=true',
    expect: ['error trusted-boot-interactive 2:27', 'error trusted-boot-keys 1:8'],
  },
  {
    title: 'Trusted Boot with its keys',
    text: 'IS_UKI=true',
    sent: ['secureBoot'],
    expect: [],
  },
  {
    title: 'Trusted Boot on arm64',
    text: 'ARCH=arm64\nOS_DISTRIBUTION=ubuntu\nOS_VERSION=24.04\nIS_UKI=true',
    alone: true,
    expect: ['error trusted-boot-arm64 4:8'],
  },
  {
    title: 'a setting of Trusted Boot without it',
    text: 'AUTO_ENROLL_SECUREBOOT_KEYS=true',
    expect: ['warning no-effect 1:29'],
  },
  {
    title: 'settings of the key generation',
    text: 'MY_ORG="ACME Corporation"\nUKI_BRING_YOUR_OWN_KEYS=true',
    expect: ['info no-effect 1:8', 'info no-effect 2:25'],
  },
  {
    title: 'settings of the AWS image',
    text: 'REGION=us-east-1\nS3_BUCKET=bucket\nS3_KEY=',
    expect: ['info no-effect 1:8', 'info no-effect 2:11'],
  },
  {
    title: 'MAAS',
    text: 'IS_MAAS=true\nMAAS_IMAGE_NAME=a',
    expect: ['info no-effect 2:17', 'warning maas 1:9'],
  },
  {
    title: 'the interactive installer on a tag before it',
    text: 'FORCE_INTERACTIVE_INSTALL=true',
    tag: 'v4.5.15',
    expect: ['error not-in-tag 1:27'],
  },
  {
    title: 'the same, at its default',
    text: 'FORCE_INTERACTIVE_INSTALL=false',
    tag: 'v4.5.15',
    expect: ['warning not-in-tag 1:27'],
  },
  {
    title: 'bundled binaries on the tag that brings them',
    text: 'BUNDLE_K8S_AND_AGENT_PROVIDER=true',
    tag: 'v4.10.0-rc.10',
    expect: [],
  },
  {
    title: 'provider images without registry and distribution',
    text: '',
    ...provider,
    expect: ['error required /arguments/IMAGE_REGISTRY', 'error required /arguments/K8S_DISTRIBUTION'],
  },
  {
    title: 'provider images',
    text: `${registry}K8S_DISTRIBUTION=k3s\nK8S_VERSION=1.30.5`,
    ...provider,
    expect: [],
  },
  {
    title: 'a version that the tag does not list',
    text: 'K8S_DISTRIBUTION=rke2\nK8S_VERSION=1.30.5',
    expect: ['error kubernetes-version 2:13'],
  },
  {
    title: 'a version with a v',
    text: 'K8S_DISTRIBUTION=k3s\nK8S_VERSION=v1.30.5',
    expect: ['error invalid-value 2:13'],
  },
  {
    title: 'a version without its patch',
    text: 'K8S_DISTRIBUTION=k3s\nK8S_VERSION=1.30',
    expect: ['error invalid-value 2:13'],
  },
  {
    title: 'a distribution that does not exist',
    text: 'K8S_DISTRIBUTION=k0s',
    expect: ['error invalid-value 1:18'],
  },
  {
    title: 'a tech preview that the tag does not have',
    text: 'K8S_DISTRIBUTION=canonical',
    expect: ['warning tech-preview 1:18', 'error kubernetes-distribution 1:18'],
  },
  {
    title: 'a cluster definition that is not sent',
    text: 'CLUSTERCONFIG=spc.tgz',
    expect: ['error file-not-sent 1:15'],
  },
  {
    title: 'a cluster definition that is sent',
    text: 'CLUSTERCONFIG=spc.tgz',
    sent: ['clusterDefinition'],
    expect: ['info set-by-service 1:15'],
  },
  {
    title: 'a custom configuration that is not sent',
    text: 'EDGE_CUSTOM_CONFIG=keys/custom.yaml',
    expect: ['error file-not-sent 1:20'],
  },
  {
    title: 'a custom configuration that is not sent, named as the Earthfile does by itself',
    text: 'EDGE_CUSTOM_CONFIG=.edge-custom-config.yaml',
    expect: ['warning file-not-sent 1:20'],
  },
  {
    title: 'a custom configuration that is made from the public key that is sent',
    text: 'EDGE_CUSTOM_CONFIG=.edge-custom-config.yaml',
    sent: ['publicKey'],
    expect: ['info set-by-service 1:20'],
  },
  {
    title: 'names of files left empty',
    text: 'CLUSTERCONFIG=\nEDGE_CUSTOM_CONFIG=\nPROXY_CERT_PATH=',
    expect: [],
  },
  {
    title: 'the path of a certificate',
    text: 'PROXY_CERT_PATH=/etc/ssl/proxy.pem',
    tag: 'v4.3.3',
    expect: ['error file-not-sent 1:17'],
  },
  {
    title: 'the path of a certificate that is sent',
    text: 'PROXY_CERT_PATH=/etc/ssl/proxy.pem',
    tag: 'v4.3.3',
    sent: ['cert'],
    expect: ['info set-by-service 1:17'],
  },
  {
    title: 'an Ubuntu Pro token on an old tag',
    text: 'UBUNTU_PRO_KEY=C1',
    expect: ['error ubuntu-pro-key-leak 1:16'],
  },
  {
    title: 'an Ubuntu Pro token on a new tag',
    text: 'UBUNTU_PRO_KEY=C1',
    tag: 'v4.10.0-rc.10',
    expect: ['error ubuntu-pro-key 1:16'],
  },
  {
    title: 'Ubuntu Pro without its secret',
    text: 'UBUNTU_PRO_ATTACH=true',
    tag: 'v4.10.0-rc.10',
    expect: ['error ubuntu-pro-secret 1:19'],
  },
  {
    title: 'the secret of Ubuntu Pro without the argument that uses it',
    text: 'UBUNTU_PRO_ATTACH=false',
    tag: 'v4.10.0-rc.10',
    secrets: ['UBUNTU_PRO_KEY'],
    expect: ['warning ubuntu-pro-unused 1:19'],
  },
  {
    title: 'drivers of both makers',
    text: 'INSTALL_NVIDIA_GPU_DRIVERS=true\nINSTALL_AMD_GPU_DRIVERS=true\nAMDGPU_DRIVER_SOURCE=inbox',
    tag: 'v4.10.0-rc.10',
    expect: ['error gpu-exclusive 2:25', 'warning amd-privileged 2:25'],
  },
  {
    title: 'NVIDIA drivers',
    text: 'INSTALL_NVIDIA_GPU_DRIVERS=true\nNVIDIA_DRIVER_BRANCH=570',
    tag: 'v4.10.0-rc.10',
    expect: [],
  },
  {
    title: 'NVIDIA drivers on arm64',
    text: 'ARCH=arm64\nOS_DISTRIBUTION=ubuntu\nOS_VERSION=22.04\nINSTALL_NVIDIA_GPU_DRIVERS=true',
    alone: true,
    tag: 'v4.10.0-rc.10',
    expect: ['error gpu-platform 4:28'],
  },
  {
    title: 'a driver’s setting without the driver',
    text: 'NVIDIA_DRIVER_BRANCH=570',
    tag: 'v4.10.0-rc.10',
    expect: ['warning no-effect 1:22'],
  },
  {
    title: 'AMD drivers that are built beforehand',
    text: 'INSTALL_AMD_GPU_DRIVERS=true',
    tag: 'v4.10.0-rc.10',
    expect: ['error amd-dkms 1:25'],
  },
  {
    title: 'a value that cannot be written back',
    text: `CMDLINE="it's \\\\"`,
    expect: ['error file.ambiguous 1:9'],
  },
  {
    title: 'an argument that nothing reads',
    text: 'platform=linux/arm64',
    expect: ['warning deprecated 1:10'],
  },
  {
    title: 'the example of the documentation',
    text: 'CUSTOM_TAG=palette-learn\nIMAGE_REGISTRY=ttl.sh\nOS_DISTRIBUTION=ubuntu\nIMAGE_REPO=ubuntu\nOS_VERSION=22.04\nK8S_DISTRIBUTION=k3s\nISO_NAME=palette-edge-installer\nARCH=amd64\nHTTPS_PROXY=\nHTTP_PROXY=\nPROXY_CERT_PATH=\nUPDATE_KERNEL=false\n',
    alone: true,
    tag: 'v4.3.3',
    target: 'all-images',
    expect: [],
  },
  {
    title: 'CanvOS’s own template, with the file that it names left out',
    text: 'CUSTOM_TAG=demo\nIMAGE_REGISTRY=ttl.sh\nOS_DISTRIBUTION=ubuntu\nIMAGE_REPO=$OS_DISTRIBUTION\nOS_VERSION=22.04\nK8S_DISTRIBUTION=k3s\nISO_NAME=palette-edge-installer\nARCH=amd64\nHTTPS_PROXY=\nHTTP_PROXY=\nUPDATE_KERNEL=false\nCLUSTERCONFIG=spc.tgz\nCIS_HARDENING=false\nEDGE_CUSTOM_CONFIG=.edge-custom-config.yaml\nFORCE_INTERACTIVE_INSTALL=false\n# IS_UKI=true\n',
    alone: true,
    expect: ['error file-not-sent 12:15', 'warning file-not-sent 14:20'],
  },
]
