/** What stood in the way of a build that is not the build's own fault. */
export type EngineErrorCode =
  | 'docker-unavailable'
  | 'image-unavailable'
  | 'runtime-unavailable'
  | 'daemon-failed'
  | 'daemon-lost'
  | 'client-lost'

/** The build engine cannot be started or was lost. The build may succeed when it is run again. */
export class EngineError extends Error {
  override name = 'EngineError'
  readonly code: EngineErrorCode

  constructor(code: EngineErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
