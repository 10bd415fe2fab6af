/**
 * Settles when this process is asked to end, by SIGINT or SIGTERM, which from now on do not end it:
 * for a command that has something to stop in order. A second SIGINT ends the process at once.
 */
export function interruption(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.once('SIGINT', resolve)
    process.on('SIGTERM', resolve)
  })
}
