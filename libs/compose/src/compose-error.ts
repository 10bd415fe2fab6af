/** An image could not be laid out; the message tells why, with the last words of the program that failed. */
export class ComposeError extends Error {
  override name = 'ComposeError'
}
