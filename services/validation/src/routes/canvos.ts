import { readEarthfile } from '@edgesmith/canvos/earthfile'
import { readKubernetesVersions } from '@edgesmith/canvos/kubernetes-versions'
import { releaseArguments } from '@edgesmith/canvos/release-arguments'
import { ProblemError } from '@edgesmith/contract/problem'
import {
  CanvosReleases,
  CanvosTag,
  ReleaseArguments,
  ReleaseKubernetesVersions,
} from '@edgesmith/contract/release'
import type { App } from '@edgesmith/service/app'
import { Type } from 'typebox'
import type { ValidationContext } from '../context.ts'

const Params = Type.Object({ tag: CanvosTag })

/** The routes of `/internal/canvos`: for the gateway. */
export function canvosRoutes(app: App, { canvos, config }: ValidationContext): void {
  app.get('/internal/canvos/releases', { schema: { response: { 200: CanvosReleases } } }, async () => {
    await canvos.refresh(config.canvos.refreshMs)
    const items = [...(await canvos.releases())]
    const latest = items.find((release) => !release.prerelease)?.tag
    return { repository: canvos.repository, ...(latest === undefined ? {} : { latest }), items }
  })

  app.get(
    '/internal/canvos/releases/:tag/arguments',
    { schema: { params: Params, response: { 200: ReleaseArguments } } },
    async ({ params: { tag } }) => {
      await assertRelease(tag)
      const earthfile = await readEarthfile(canvos, tag)
      return { tag, items: releaseArguments(tag, earthfile?.declared ?? []) }
    },
  )

  app.get(
    '/internal/canvos/releases/:tag/kubernetes-versions',
    { schema: { params: Params, response: { 200: ReleaseKubernetesVersions } } },
    async ({ params: { tag } }) => {
      await assertRelease(tag)
      const distributions = await readKubernetesVersions(canvos, tag)
      if (distributions !== undefined) return { tag, distributions }
      throw new ProblemError(
        'release-not-found',
        `CanvOS ${tag} has no k8s_version.json, which releases have from v4.4.12 on.`,
      )
    },
  )

  async function assertRelease(tag: string): Promise<void> {
    if ((await canvos.resolveTag(tag)) !== undefined) return
    throw new ProblemError(
      'release-not-found',
      `CanvOS has no tag ${tag}. GET /v1/canvos/releases lists those it has.`,
    )
  }
}
