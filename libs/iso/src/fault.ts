/** What can be wrong with an image; `checkIso` tells all it finds, the readers throw the first. */
export type IsoFaultCode =
  | 'not-iso9660'
  | 'no-boot-catalog'
  | 'invalid-boot-catalog'
  | 'invalid-partition-table'
  | 'invalid-directory'
  | 'invalid-squashfs'
  | 'file-not-found'
  | 'truncated'
  | 'trailing-data'

/** One fault of an image. */
export type IsoFault = { code: IsoFaultCode; message: string }

/** Thrown by the readers of this package when the image is not what the standard says. */
export class IsoError extends Error {
  override name = 'IsoError'
  readonly code: IsoFaultCode

  constructor(code: IsoFaultCode, message: string) {
    super(message)
    this.code = code
  }
}
