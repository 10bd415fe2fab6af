import semver from 'semver'

/** True when the text is a tag of CanvOS that can be built: `vX.Y.Z`, or that with a semver suffix. */
export function isReleaseTag(tag: string): boolean {
  return tag.length <= 64 && /^v\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$/.test(tag) && semver.valid(tag) !== null
}

/** Sorts tags newest first by semver, so that a release candidate comes after its release. */
export function newestFirst(one: string, other: string): number {
  return semver.rcompare(one, other)
}

/** True for release candidates and other suffixed tags. */
export function isPrerelease(tag: string): boolean {
  return semver.prerelease(tag) !== null
}

/** True when the tag is that version or a later one. Release candidates come before their release. */
export function isAtLeast(tag: string, version: string): boolean {
  return semver.gte(tag, version)
}
