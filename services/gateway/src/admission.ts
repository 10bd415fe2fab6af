import { countQueued } from '@edgesmith/builds/queued-builds'
import { ProblemError } from '@edgesmith/contract/problem'
import type { App } from '@edgesmith/service/app'
import type { FastifyRequest } from 'fastify'
import type { GatewayContext, ProjectContext } from './context.ts'

/** How much the service takes on. */
export type AdmissionLimits = {
  /** Builds that wait at a time, of all tenants. */
  readonly queued: number
  /** The same of a tenant whose record has no limit. */
  readonly queuedOfTenant: number
  /** Uploads that this gateway receives at a time. */
  readonly uploads: number
}

/** After how long a client is to come again when it is not known how fast its builds run, in seconds. */
const unknownWait = 60
const longestWait = 3600

/** The same when an upload has to end first. */
const uploadWait = 5

/**
 * Lets builds be queued while there is room for them. It is counted before they are queued: requests that are
 * under way at the same time can exceed the limit by as many builds as they bring.
 * @throws ProblemError `queue-full`
 */
export async function admitBuilds(context: ProjectContext, count: number): Promise<void> {
  const { identity, redis, queue, config, principal } = context
  const tenant = await identity.tenants.require(principal.tenant)
  const projects = tenant.projects.map((project) => ({ tenant: tenant.id, project: project.id }))
  const own = await countQueued(redis, projects)
  const limits = [
    ['of your tenant', own, tenant.limits.queuedBuilds ?? config.admission.queuedOfTenant],
    ['of all tenants', await countQueued(redis), config.admission.queued],
  ] as const
  for (const [whose, queued, limit] of limits) {
    const excess = queued + count - limit
    if (excess <= 0) continue
    const pace = await queue.pace(tenant.id)
    const wait = pace === undefined ? unknownWait : Math.ceil(pace * excess)
    throw new ProblemError(
      'queue-full',
      `${queued} builds ${whose} are waiting, and ${limit} may; ${count} more cannot be queued now.`,
      { headers: { 'retry-after': String(Math.min(Math.max(wait, 1), longestWait)) } },
    )
  }
}

/** The uploads that a gateway receives. What a request takes is given back when it ends, however it does. */
class UploadSlots {
  readonly #taken = new Map<string, number>()
  #all = 0

  /** @throws ProblemError `too-many-uploads` */
  take(tenant: string, limits: { all: number; own: number | undefined }): () => void {
    const own = this.#taken.get(tenant) ?? 0
    if (this.#all >= limits.all || (limits.own !== undefined && own >= limits.own)) {
      throw new ProblemError(
        'too-many-uploads',
        this.#all >= limits.all
          ? `The gateway receives ${this.#all} uploads, as many as it may. Try again shortly.`
          : `The tenant sends ${own} uploads, as many as it may at a time. Try again when one of them has ended.`,
        { headers: { 'retry-after': String(uploadWait) } },
      )
    }
    this.#all += 1
    this.#taken.set(tenant, own + 1)
    return () => {
      this.#all -= 1
      const left = (this.#taken.get(tenant) ?? 1) - 1
      if (left === 0) this.#taken.delete(tenant)
      else this.#taken.set(tenant, left)
    }
  }
}

/** Limits how many uploads are received at a time, of all tenants and of one, by this gateway. */
export function limitUploads(scope: App, { config, identity }: GatewayContext): void {
  const slots = new UploadSlots()
  scope.addHook('onRequest', async (request, reply) => {
    if (!isUpload(request)) return
    const { tenant } = request.principal
    const limits = (await identity.tenants.find(tenant))?.limits
    // The client can have gone meanwhile: nobody would tell then.
    if (reply.raw.closed) return
    reply.raw.once('close', slots.take(tenant, { all: config.admission.uploads, own: limits?.uploadsAtOnce }))
  })
}

/** Whether a request brings files. */
function isUpload({ method, url, headers }: FastifyRequest): boolean {
  if (method !== 'POST' && method !== 'PATCH') return false
  return url.startsWith('/v1/uploads') || headers['content-type']?.startsWith('multipart/') === true
}
