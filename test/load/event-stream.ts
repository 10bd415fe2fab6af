import assert from 'node:assert/strict'
import { isEnd, transitions } from '@edgesmith/builds/build-state'
import { compareEventIds } from '@edgesmith/builds/event-id'
import type { BuildState } from '@edgesmith/contract/build'
import type { BuildEvent } from '@edgesmith/contract/event'
import { createParser } from 'eventsource-parser'
import type { Random } from '../faults/random.ts'
import type { MeasuredHttp } from './measured-http.ts'

export type Followed = {
  readonly ids: readonly string[]
  readonly states: readonly BuildState[]
  /** How often the connection was given up and the stream gone on with. */
  readonly resumed: number
}

type Stream = { readonly url: string; readonly headers: Readonly<Record<string, string>> }

/**
 * Follows the events of a build until it ends. With `random` the connection is given up now and then, and
 * gone on with behind the last event that came.
 */
export async function followEvents(
  http: MeasuredHttp,
  { url, headers }: Stream,
  random?: Random,
): Promise<Followed> {
  const ids: string[] = []
  const states: BuildState[] = []
  for (let resumed = 0; ; resumed += 1) {
    const last = ids.at(-1)
    const { response, begun } = await http.open({
      operation: 'follow events',
      url,
      headers: { ...headers, ...(last === undefined ? {} : { 'last-event-id': last }) },
    })
    http.measured('follow events', begun)
    const patience = random === undefined || random.next() < 0.5 ? Infinity : random.between(1, 12)
    const stopAt = ids.length + patience
    const parser = createParser({
      onEvent: ({ id, data }) => {
        if (ids.length >= stopAt) return
        ids.push(id ?? '')
        const event = JSON.parse(data) as BuildEvent
        if (event.type === 'state') states.push(event.state)
      },
    })
    const text = new TextDecoder()
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      parser.feed(text.decode(chunk, { stream: true }))
      // Leaving the loop closes the connection.
      if (ids.length >= stopAt) break
    }
    const state = states.at(-1)
    if (state !== undefined && isEnd(state)) return { ids, states, resumed }
    assert.ok(ids.length >= stopAt, `the stream ended before the build, which is ${state ?? 'unknown'}`)
  }
}

/** Events come in order, states follow the declared machine and end once, and none is missing. */
export function assertWhole({ ids, states }: Followed, all: readonly string[]): void {
  for (const [index, id] of ids.entries()) {
    const before = ids[index - 1]
    assert.ok(before === undefined || compareEventIds(before, id) < 0, `${id} came after ${before ?? ''}`)
  }
  const told = states.join(', ')
  assert.equal(states[0], 'queued', told)
  for (const [index, state] of states.entries()) {
    const next = states[index + 1]
    const possible: readonly string[] = transitions[state]
    assert.ok(next === undefined || possible.includes(next), `the states were ${told}`)
  }
  assert.equal(states.filter((state) => isEnd(state)).length, 1, `one end: ${told}`)
  assert.deepEqual(ids, all, 'events are missing')
}
