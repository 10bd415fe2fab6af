import { baseKey, recordBase } from '@edgesmith/bases/base-store'
import { ImageDigests } from '@edgesmith/bases/image-digests'
import { recipeKeys, type Maker } from '@edgesmith/bases/keys'
import { BuildEvents } from '@edgesmith/builds/build-events'
import { BuildRepository } from '@edgesmith/builds/build-repository'
import { FleetRepository } from '@edgesmith/builds/fleet-repository'
import { Notifications } from '@edgesmith/builds/notifications'
import { closeRedis, openRedis } from '@edgesmith/builds/redis-connection'
import { startBuildWorker } from '@edgesmith/builder-service/build-worker'
import { Daemons } from '@edgesmith/builder-service/daemons'
import { readEnv, toConfig } from '@edgesmith/builder-service/config'
import { recipeOfSite } from '@edgesmith/builder-service/fleet-stamp'
import { startFleetWorkers } from '@edgesmith/builder-service/fleet-workers'
import { ActiveRedactors } from '@edgesmith/redaction/active-redactors'
import { openMirror } from '@edgesmith/canvos/mirror'
import { daemonLimits } from '@edgesmith/engine/daemon-limits'
import { openDocker } from '@edgesmith/engine/docker'
import { readFleet } from '@edgesmith/fleets/fleet-record'
import { objectManifest } from '@edgesmith/manifest/manifest'
import { findSlot } from '@edgesmith/stamp/find-slot'
import { placeholderUserData } from '@edgesmith/stamp/placeholder'
import type { ObjectStore } from '@edgesmith/store/object-store'
import type { ProjectStores } from '@edgesmith/store/project-stores'
import type { Redis } from 'ioredis'
import { v7 as uuidV7 } from 'uuid'
import { ownProject } from '../../../test/support/projects.ts'
import { path, Workshop } from '../../../test/support/image-workshop.ts'
import { fastifyLogger, silentLogger } from './silent-logger.ts'
import type { Harness } from './harness.ts'

export const capacity = 4096

const maker: Maker = { engine: 'engine of the test', userDataReserveBytes: capacity }

/** What of a builder works for fleets, without the part that runs Earthly. */
export class FleetBuilder implements AsyncDisposable {
  readonly redis: Redis
  readonly repository: BuildRepository
  readonly fleets: FleetRepository
  readonly events: BuildEvents
  readonly #stores: ProjectStores
  readonly #store: ObjectStore
  readonly #notifications: Notifications
  readonly #digests: ImageDigests
  readonly #stack: AsyncDisposableStack

  private constructor(stores: ProjectStores, redis: Redis, stack: AsyncDisposableStack) {
    this.#stores = stores
    this.#store = stores.of(ownProject)
    this.#stack = stack
    this.redis = redis
    this.repository = new BuildRepository(redis)
    this.fleets = new FleetRepository(redis)
    this.#notifications = stack.use(new Notifications(redis, raise))
    this.events = new BuildEvents({ redis, notifications: this.#notifications, stores })
    this.#digests = stack.use(
      new ImageDigests({ redis, insecureRegistries: [], allowed: [], ttlSeconds: 60 }),
    )
  }

  static async open({ stores, redisUrl }: Pick<Harness, 'stores' | 'redisUrl'>): Promise<FleetBuilder> {
    await using stack = new AsyncDisposableStack()
    const redis = stack.adopt(
      openRedis(redisUrl, { patience: 'endless', name: 'builder', onError: raise }),
      closeRedis,
    )
    return new FleetBuilder(stores, redis, stack.move())
  }

  /** Begins to work on fleets. */
  start({ lockSeconds = 5, mayFail = false } = {}): AsyncDisposable {
    const { redis, repository, events } = this
    return startFleetWorkers({
      ...{ redis, repository, events, stores: this.#stores, digests: this.#digests, maker },
      logger: mayFail ? silentLogger : fastifyLogger,
      config: { lockSeconds },
    })
  }

  /** Begins to work on builds, with a Docker that is not there: those that Earthly has to run for fail. */
  startBuilds(environment: Harness['environment'], { mayWarn = false } = {}): AsyncDisposable {
    const { redis, repository, events } = this
    const own = { BUILDER_ID: 'test', BUILDER_LOCK_SECONDS: '5', ENGINE_IMAGE: 'none:none' }
    const config = toConfig(readEnv({ ...environment, ...own, DOCKER_HOST: 'unix:///nowhere/docker.sock' }))
    const docker = openDocker(config.docker)
    const limits = daemonLimits({ cpus: 2, memoryBytes: 8 * 1024 ** 3 }, config.engine.limits)
    const daemons = new Daemons({ docker, config, limits, logger: fastifyLogger })
    const { repository: canvos, mirrorDirectory: directory } = config.canvos
    const context = {
      ...{ config, redis, repository, events, stores: this.#stores, notifications: this.#notifications },
      ...{ docker, daemons, digests: this.#digests, maker },
      logger: mayWarn ? silentLogger : fastifyLogger,
      mirror: openMirror({ repository: canvos, directory }),
      engine: { repository: canvos, images: [] },
      keyring: undefined,
      redactors: new ActiveRedactors(),
    }
    const worker = startBuildWorker(context, 1)
    return { [Symbol.asyncDispose]: () => worker.stop() }
  }

  /** Records an image that xorriso made as the base of a fleet's first site, as if `buildId` had left it. */
  async recordBaseOf(fleetId: string, buildId: string): Promise<void> {
    const record = await readFleet(this.#store, fleetId)
    const site = record?.sites[0]
    if (record === undefined || site === undefined) throw new Error('There is no such fleet.')
    const recipe = await recipeOfSite(this.#store, record, site)
    if (recipe === undefined) throw new Error('An input is gone.')
    const keys = recipeKeys(recipe, maker)
    const id = uuidV7()
    const placeholder = placeholderUserData(capacity)
    await using workshop = await Workshop.open()
    const image = await workshop.make('gpt', 'base.iso', placeholder)
    const slot = await findSlot(workshop.read(image), path, placeholder)
    if (slot === undefined) throw new Error('The image has no slot.')
    const source = await workshop.store.get('base.iso')
    await this.#store.put(baseKey.data(id), source)
    await recordBase(this.#store, {
      ...{ id, rootKey: keys.root, layersKey: keys.layers, buildId, images: [], proof: [], unproved: [] },
      createdAt: new Date().toISOString(),
      manifest: objectManifest(baseKey.data(id), image.size),
      userData: slot,
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

function raise(error: Error): never {
  throw error
}
