import type { IncomingMessage } from 'node:http'
import DockerModem from 'docker-modem'

/**
 * What sends calls to Docker. By itself docker-modem never settles a call whose connection breaks off after its
 * answer has begun, and that to wait for a container begins at once: it would be waited for in vain when Docker is
 * killed. Here such a call is refused.
 */
export class SettlingModem extends DockerModem {
  /** What dockerode makes its promises with, which it sets on a modem of its own alone. */
  override readonly Promise = Promise

  override dial(options: DockerModem.DialOptions, callback?: DockerModem.RequestCallback): void {
    if (options.isStream === true || options.hijack === true || options.openStdin === true) {
      super.dial(options, callback)
      return
    }
    super.dial({ ...options, isStream: true }, (error, answer) => {
      if (error !== null) {
        callback?.(error, null)
        return
      }
      readAnswer(answer as IncomingMessage).then(
        (value) => callback?.(null, value),
        (broken: unknown) => callback?.(broken instanceof Error ? broken : new Error(String(broken)), null),
      )
    })
  }
}

/** The value of an answer in JSON, or its bytes. @throws Error when it breaks off */
async function readAnswer(answer: IncomingMessage): Promise<object | Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of answer) pieces.push(piece as Buffer)
  const bytes = Buffer.concat(pieces)
  try {
    return JSON.parse(bytes.toString()) as object
  } catch {
    return bytes
  }
}
