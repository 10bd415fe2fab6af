/**
 * Bytes of user-data that may be reserved at most, whole sectors: Kairos leaves documents of about 1 MB and
 * more unread.
 */
export const maxReserve = 488 * 2048

/** What there is of the placeholder before the padding. Nothing is installed or registered by it. */
const head = `#cloud-config
# Edgesmith reserves the place of user-data with this document, and puts the user-data of the site there
# before an image is handed out. An image that holds it was never meant to be installed.
stylus:
  managementMode: local
# What follows is padding.
`

/** Bytes of user-data that must be reserved at least. */
export const minReserve = head.length

const lineLength = 64

/**
 * A document that stands for user-data in a base and takes exactly `capacity` bytes. It is valid: a host that
 * is managed locally needs no other field (librarium: clusters/edge/edgeforge-workflow/prepare-user-data.md).
 * Equal capacities give equal bytes.
 * @throws RangeError for a capacity less than `minReserve` or more than `maxReserve`
 */
export function placeholderUserData(capacity: number): Buffer {
  if (!Number.isInteger(capacity) || capacity < minReserve || capacity > maxReserve) {
    throw new RangeError(
      `The reserve for user-data is ${capacity} bytes, and has to be ${minReserve} to ${maxReserve}.`,
    )
  }
  const padding = capacity - head.length
  const line = `${'#'.repeat(lineLength - 1)}\n`
  const last = padding % lineLength
  const lines = line.repeat(Math.floor(padding / lineLength))
  return Buffer.from(head + lines + (last === 0 ? '' : `${'#'.repeat(last - 1)}\n`))
}
