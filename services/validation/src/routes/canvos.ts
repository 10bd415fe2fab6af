import { CanvosReleases } from '@edgesmith/contract/release'
import type { App } from '@edgesmith/service/app'
import type { ValidationContext } from '../context.ts'

/** `GET /internal/canvos/releases`: for the gateway. */
export function canvosRoutes(app: App, { canvos, config }: ValidationContext): void {
  app.get(
    '/internal/canvos/releases',
    { schema: { hide: true, response: { 200: CanvosReleases } } },
    async () => {
      await canvos.refresh(config.canvos.refreshMs)
      const items = await canvos.releases()
      const latest = items.find((release) => !release.prerelease)?.tag
      return { repository: config.canvos.repository, ...(latest === undefined ? {} : { latest }), items }
    },
  )
}
