/** Where a file of the workspace is to be found in the installer ISO. */
export type IsoPath =
  | {
      path: string
      /** True for a content bundle, which is there as `path` + `_part00`, `_part01`, …, or whole. */
      split: boolean
    }
  /** Why it is no file of the ISO. */
  | { absent: string }

/** Files of `overlay/files-iso` that CanvOS writes over on their way, each with what it does. */
const rewritten: Readonly<Record<'iso' | 'uki', Readonly<Record<string, string>>>> = {
  iso: {
    '/boot/grub2/grub.cfg': 'writes the default entry and the debug flags into it',
  },
  uki: {
    '/stylus-image.tar': 'puts its own in its place',
    '/luet': 'puts its own in its place',
    '/opt/spectrocloud/local-ui.tar': 'unpacks and removes it',
  },
}

/**
 * Says where CanvOS puts a file of its tree in the ISO (CanvOS `Earthfile`, `+build-iso` and
 * `+build-uki-iso`): files that are laid over the image, and not those that go into the root file system.
 * @param workspacePath path relative to the root of CanvOS, as `layoutInputs` gives it
 * @param buildArguments the arguments of the build, with those that name its files
 */
export function isoPathOf(workspacePath: string, buildArguments: Readonly<Record<string, string>>): IsoPath {
  const kind = buildArguments['IS_UKI'] === 'true' ? 'uki' : 'iso'
  const bundle = /^content-[^/]*\/([^/]+\.zst)$/.exec(workspacePath)?.[1]
  if (bundle !== undefined) return { path: `/opt/spectrocloud/content/${bundle}`, split: true }
  const overlaid = /^overlay\/files-iso(\/.+)$/.exec(workspacePath)?.[1]
  if (overlaid !== undefined) {
    const change = rewritten[kind][overlaid]
    if (change === undefined) return { path: overlaid, split: false }
    return { absent: `CanvOS copies ${workspacePath} to the ISO and ${change}.` }
  }
  switch (workspacePath) {
    case 'user-data':
      return { path: kind === 'uki' ? '/config.yaml' : '/files-iso/config.yaml', split: false }
    case buildArguments['CLUSTERCONFIG']:
      return { path: '/opt/spectrocloud/clusterconfig/spc.tgz', split: false }
    case buildArguments['EDGE_CUSTOM_CONFIG']:
      return { path: '/.edge_custom_config.yaml', split: false }
    default:
      return { absent: `CanvOS puts ${workspacePath} into the root file system, not beside it.` }
  }
}
