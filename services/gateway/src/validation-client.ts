import type { CanvosReleases, ReleaseArguments, ReleaseKubernetesVersions } from '@edgesmith/contract/release'
import type { UserDataBatchRequest, UserDataBatchResult } from '@edgesmith/contract/fleet'
import { ProblemError, problems, type Problem, type ProblemCode } from '@edgesmith/contract/problem'
import type { ValidationRequest, ValidationResult } from '@edgesmith/contract/validation'
import type { Dependency } from '@edgesmith/service/app'
import { request, type Agent } from 'undici'

/** The gateway's side of the validation service. */
export class ValidationClient {
  readonly #baseUrl: string
  readonly #agent: Agent

  constructor(baseUrl: string, agent: Agent) {
    this.#baseUrl = baseUrl
    this.#agent = agent
  }

  /** Diagnoses a build spec and its stored inputs. @throws ProblemError `upstream-unavailable`. */
  async validate(body: ValidationRequest): Promise<ValidationResult> {
    return (await this.#call('POST', '/internal/validations', body)) as ValidationResult
  }

  /** Diagnoses the user-data of many sites. @throws ProblemError `upstream-unavailable`. */
  async validateUserData(body: UserDataBatchRequest): Promise<UserDataBatchResult> {
    return (await this.#call('POST', '/internal/validations/batch', body)) as UserDataBatchResult
  }

  /** The CanvOS tags that can be built. @throws ProblemError `upstream-unavailable`. */
  async releases(): Promise<CanvosReleases> {
    return (await this.#call('GET', '/internal/canvos/releases')) as CanvosReleases
  }

  /** The arguments that a tag's builds take. @throws ProblemError `release-not-found`, `upstream-unavailable`. */
  async releaseArguments(tag: string): Promise<ReleaseArguments> {
    return (await this.#call('GET', `/internal/canvos/releases/${tag}/arguments`)) as ReleaseArguments
  }

  /** The Kubernetes versions of a tag. @throws ProblemError `release-not-found`, `upstream-unavailable`. */
  async releaseKubernetesVersions(tag: string): Promise<ReleaseKubernetesVersions> {
    const path = `/internal/canvos/releases/${tag}/kubernetes-versions`
    return (await this.#call('GET', path)) as ReleaseKubernetesVersions
  }

  readonly dependency: Dependency = {
    name: 'validation',
    check: async () => {
      await this.#call('GET', '/healthz')
    },
  }

  async #call(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    const response = await request(`${this.#baseUrl}${path}`, {
      method,
      dispatcher: this.#agent,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
    }).catch((error: unknown) => {
      throw new ProblemError(
        'upstream-unavailable',
        'The validation service cannot be reached; try again shortly.',
        {
          headers: { 'retry-after': '5' },
          cause: error,
        },
      )
    })
    const answer: unknown = await response.body.json()
    if (response.statusCode < 300) return answer
    throw asProblemError(answer as Problem)
  }
}

function asProblemError({ type, detail, errors }: Problem): ProblemError {
  const code = type.slice(type.lastIndexOf(':') + 1)
  const known = code in problems && code !== 'unauthorized' ? (code as ProblemCode) : 'internal'
  return new ProblemError(known, detail ?? type, errors === undefined ? {} : { errors })
}
