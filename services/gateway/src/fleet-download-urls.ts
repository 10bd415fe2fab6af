import type { DownloadUrlBatchRequest, DownloadUrlBatchResult } from '@edgesmith/contract/fleet'
import { ProblemError } from '@edgesmith/contract/problem'
import type { Principal } from '@edgesmith/contract/access'
import { forwardedHeaders } from '@edgesmith/service/forwarded-principal'
import { request, type Agent } from 'undici'

/** The gateway's side of the artifact service, which has the keys of signed URLs. */
export class DownloadUrlClient {
  readonly #baseUrl: string
  readonly #agent: Agent

  constructor(baseUrl: string, agent: Agent) {
    this.#baseUrl = baseUrl
    this.#agent = agent
  }

  /** Signs URLs of many artifacts for a principal. @throws ProblemError `upstream-unavailable` */
  async sign(principal: Principal, body: DownloadUrlBatchRequest): Promise<DownloadUrlBatchResult> {
    const response = await request(`${this.#baseUrl}/internal/download-urls`, {
      method: 'POST',
      dispatcher: this.#agent,
      headers: { ...forwardedHeaders(principal), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).catch((error: unknown) => {
      throw new ProblemError(
        'upstream-unavailable',
        'The artifact service cannot be reached; try again shortly.',
        { headers: { 'retry-after': '5' }, cause: error },
      )
    })
    const answer: unknown = await response.body.json()
    if (response.statusCode === 200) return answer as DownloadUrlBatchResult
    throw new Error(`The artifact service answered ${response.statusCode} to a request for signed URLs.`)
  }
}
