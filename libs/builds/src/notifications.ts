import type { Redis } from 'ioredis'
import { closeRedis, whileAvailable } from './redis-connection.ts'

/**
 * One connection of a process that listens to any number of channels for any number of waiters. A
 * message only says that something changed: whoever waits reads again from where it was, so that a
 * lost connection, after which everybody is woken, loses nothing.
 */
export class Notifications implements AsyncDisposable {
  readonly #redis: Redis
  readonly #subscriptions = new Map<string, Set<Subscription>>()

  /** Opens a second connection like `redis`; dispose of the answer to close it. */
  constructor(redis: Redis, onError: (error: Error) => void) {
    this.#redis = redis.duplicate()
    this.#redis.on('error', onError)
    this.#redis.on('message', (channel: string) => {
      this.#wake(channel)
    })
    this.#redis.on('ready', () => {
      this.#listenAgain().catch(onError)
    })
  }

  /** Listens to a channel. What is told after the answer wakes the subscription. */
  async subscribe(channel: string): Promise<Subscription> {
    const subscription: Subscription = new Subscription(() => this.#unsubscribe(channel, subscription))
    const others = this.#subscriptions.get(channel)
    if (others === undefined) this.#subscriptions.set(channel, new Set([subscription]))
    else others.add(subscription)
    try {
      await whileAvailable(() => this.#redis.subscribe(channel))
    } catch (error) {
      this.#forget(channel, subscription)
      throw error
    }
    return subscription
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeRedis(this.#redis)
  }

  #wake(channel: string): void {
    for (const subscription of this.#subscriptions.get(channel) ?? []) subscription.wake()
  }

  /** After a reconnection: what was told meanwhile is lost, so everybody has to look. */
  async #listenAgain(): Promise<void> {
    const channels = [...this.#subscriptions.keys()]
    if (channels.length === 0) return
    await this.#redis.subscribe(...channels)
    for (const channel of channels) this.#wake(channel)
  }

  /** True when nobody listens to the channel any more. */
  #forget(channel: string, subscription: Subscription): boolean {
    const subscriptions = this.#subscriptions.get(channel)
    subscriptions?.delete(subscription)
    return subscriptions?.size === 0 && this.#subscriptions.delete(channel)
  }

  async #unsubscribe(channel: string, subscription: Subscription): Promise<void> {
    if (!this.#forget(channel, subscription) || this.#redis.status !== 'ready') return
    await whileAvailable(() => this.#redis.unsubscribe(channel))
  }
}

/** What one waiter holds; dispose of it to stop listening. */
export class Subscription implements AsyncDisposable {
  readonly #dispose: () => Promise<void>
  #changed = Promise.withResolvers<undefined>()

  constructor(dispose: () => Promise<void>) {
    this.#dispose = dispose
  }

  /** Waits until something was told since the last wait; rejects with the reason of the signal. */
  async next(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const aborted = Promise.withResolvers<never>()
    const onAbort = () => {
      aborted.reject(signal?.reason as Error)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.race([this.#changed.promise, aborted.promise])
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
    this.#changed = Promise.withResolvers<undefined>()
  }

  wake(): void {
    this.#changed.resolve(undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispose()
  }
}
