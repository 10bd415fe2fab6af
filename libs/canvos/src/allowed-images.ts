/**
 * Which images a build may start from: an operator lists prefixes, such as `registry.example.com/team`
 * or `quay.io/kairos`. An empty list allows all.
 */
export type AllowedImages = readonly string[]

/** Docker Hub's own name, which references may leave out. */
const hub = 'docker.io'

/** An image's characters, and no path that leads elsewhere (OCI distribution specification, "Pulling manifests"). */
const plain = /^[A-Za-z0-9._:@/-]+$/

/** Whether an image, or a prefix of images, is below one that is allowed. */
export function isAllowedImage(reference: string, allowed: AllowedImages): boolean {
  if (allowed.length === 0) return true
  if (!plain.test(reference) || /\.\.|\/\/|^[/.]/.test(reference)) return false
  const full = fullName(reference)
  return allowed.some((prefix) => {
    const whole = fullName(prefix.replace(/(?<!\/)\/+$/, ''), true)
    return (
      full === whole ||
      (full.startsWith(whole) && /^[/:@]/.test(full.slice(whole.length)) && !isPort(whole, full))
    )
  })
}

/** The prefix `registry.example.com` does not stand for `registry.example.com:5000`. */
function isPort(prefix: string, full: string): boolean {
  return !prefix.includes('/') && full[prefix.length] === ':'
}

/**
 * A reference with its registry, as Docker reads it (distribution/reference, `ParseNormalizedNamed`). What
 * has no slash is a registry in a list, and an image of Docker Hub in a build.
 */
function fullName(reference: string, isListed = false): string {
  const lower = reference.toLowerCase().replace(/^index\.docker\.io(?=\/|$)/, hub)
  const [first = '', only, ...rest] = lower.split('/')
  const looksLikeHost = first === 'localhost' || /[.:]/.test(first)
  if (!looksLikeHost || (only === undefined && !isListed)) {
    return lower.includes('/') ? `${hub}/${lower}` : `${hub}/library/${lower}`
  }
  return first === hub && only !== undefined && rest.length === 0 && !isListed
    ? `${hub}/library/${only}`
    : lower
}
