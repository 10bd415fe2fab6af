import { setTimeout as delay } from 'node:timers/promises'
import type { StoredArtifact } from './client.ts'

/** Pause between the pieces that are read without hurry, and before a broken download goes on, in milliseconds. */
const unhurriedMs = 20
const pauseMs = 200
const patienceMs = 120_000

/** What came of a download: its bytes, and how often it broke off. */
export type Downloaded = { readonly bytes: Buffer; readonly breaks: number }

/**
 * Downloads by a signed URL, with a pause of so many milliseconds between the pieces: what breaks off goes on where
 * it was.
 * @throws Error when it is refused for good, or nothing comes for too long
 */
export async function download({ url, size }: StoredArtifact, pieceMs = 0): Promise<Downloaded> {
  const pieces: Buffer[] = []
  let received = 0
  let breaks = 0
  for (let deadline = Date.now() + patienceMs; ; breaks += 1) {
    const before = received
    try {
      const answer = await fetch(url, {
        headers: received === 0 ? {} : { range: `bytes=${received}-` },
        signal: AbortSignal.timeout(patienceMs),
      })
      const isWhole = received === 0 && answer.status === 200
      if (!isWhole && answer.status !== 206) throw new Error(`${answer.status}: ${await answer.text()}`)
      const body = answer.body as AsyncIterable<Uint8Array> | null
      for await (const piece of body ?? []) {
        pieces.push(Buffer.from(piece))
        received += piece.length
        if (pieceMs > 0) await delay(pieceMs)
      }
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    if (received >= size) return { bytes: Buffer.concat(pieces), breaks }
    if (received > before) deadline = Date.now() + patienceMs
    await delay(pauseMs)
  }
}

/** Downloads again and again, unhurried as over a bad line, until the condition holds when one begins; answers all. */
export async function downloadUntil(artifact: StoredArtifact, isOver: () => boolean): Promise<Downloaded[]> {
  const all: Downloaded[] = []
  for (let last = false; !last;) {
    last = isOver()
    all.push(await download(artifact, unhurriedMs))
  }
  return all
}
