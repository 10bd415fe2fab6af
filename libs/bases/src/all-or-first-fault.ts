/**
 * Waits for all of them, however they end, so that nothing is written any more once this settles.
 * @throws what the first of them, in the order given, failed with
 */
export async function allOrFirstFault<T extends readonly unknown[]>(
  work: readonly [...T],
): Promise<{ [Index in keyof T]: Awaited<T[Index]> }> {
  await Promise.allSettled(work)
  return Promise.all(work)
}
