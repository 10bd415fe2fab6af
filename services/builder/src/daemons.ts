import type { BuildkitDaemon } from '@edgesmith/engine/buildkit-daemon'
import { openDaemon, type DaemonParts } from './open-daemon.ts'

/** A daemon that is used, and kept running until the answer is disposed of. */
export type DaemonLease = Disposable & { readonly daemon: BuildkitDaemon }

type Member = { readonly daemon: BuildkitDaemon; users: number; idle: NodeJS.Timeout | undefined }

/**
 * The BuildKit daemons of a worker: one for the builds of all tenants, or, where caches are kept apart, one
 * with a cache and networks of its own for each tenant that builds. Such a one ends when it was not used
 * for a while; its cache is kept.
 */
export class Daemons implements AsyncDisposable {
  readonly #parts: DaemonParts
  readonly #members = new Map<string, Member>()
  readonly #ending = new Map<string, Promise<void>>()

  /** Nothing is started. */
  constructor(parts: DaemonParts) {
    this.#parts = parts
  }

  /** Starts the daemon that serves all, where there is one. @throws EngineError when it cannot be started */
  async start(): Promise<void> {
    if (this.#parts.config.cache.byTenant) return
    using lease = await this.lease('')
    await lease.daemon.ready()
  }

  /** The daemon for builds of a tenant; it may not be running yet. */
  async lease(tenant: string): Promise<DaemonLease> {
    const { byTenant } = this.#parts.config.cache
    const key = byTenant ? tenant : ''
    await this.#ending.get(key)
    const member = this.#members.get(key) ?? {
      daemon: openDaemon(this.#parts, byTenant ? tenant : undefined),
      users: 0,
      idle: undefined,
    }
    this.#members.set(key, member)
    clearTimeout(member.idle)
    member.users += 1
    let isReleased = false
    return {
      daemon: member.daemon,
      [Symbol.dispose]: () => {
        if (!isReleased) this.#release(key, member)
        isReleased = true
      },
    }
  }

  /** Throws when one of the daemons does not run, for readiness. */
  async check(): Promise<void> {
    const used = [...this.#members.values()].filter(
      ({ users }) => users > 0 || !this.#parts.config.cache.byTenant,
    )
    await Promise.all(used.map(({ daemon }) => daemon.check()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const members = [...this.#members.values()]
    this.#members.clear()
    for (const { idle } of members) clearTimeout(idle)
    await Promise.all([
      ...members.map(({ daemon }) => daemon[Symbol.asyncDispose]()),
      ...this.#ending.values(),
    ])
  }

  #release(key: string, member: Member): void {
    const { config, logger } = this.#parts
    member.users -= 1
    if (member.users > 0 || !config.cache.byTenant || this.#members.get(key) !== member) return
    member.idle = setTimeout(() => {
      this.#members.delete(key)
      const ending = member.daemon[Symbol.asyncDispose]()
        .catch((error: unknown) => {
          logger.error({ err: error, tenant: key }, 'An idle BuildKit daemon is not removed.')
        })
        .finally(() => this.#ending.delete(key))
      this.#ending.set(key, ending)
    }, config.cache.idleSeconds * 1000).unref()
  }
}
