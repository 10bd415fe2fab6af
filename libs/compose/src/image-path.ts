/**
 * Refuses what is not the absolute path of something in an image: `/` before each name, no name empty, `.` or
 * `..`, of more than 255 bytes, or with a null byte. Throws a `RangeError`.
 */
export function assertImagePath(path: string): void {
  const [start, ...names] = path.split('/')
  const isRight = (name: string) =>
    name !== '' && name !== '.' && name !== '..' && !name.includes('\0') && Buffer.byteLength(name) <= 255
  if (start !== '' || names.length === 0 || !names.every(isRight)) {
    throw new RangeError(`${JSON.stringify(path)} is not a path of an image.`)
  }
}

/** True for the path itself and for all below it. */
export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}

/** The directories above a path, the topmost first, without the root. */
export function directoriesAbove(path: string): string[] {
  const names = path.split('/').slice(1, -1)
  return names.map((_name, index) => `/${names.slice(0, index + 1).join('/')}`)
}
