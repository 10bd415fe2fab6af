import { signDownloadUrl } from '@edgesmith/artifacts/signed-url'
import { DownloadUrlBatchRequest, DownloadUrlBatchResult } from '@edgesmith/contract/fleet'
import { projectOf } from '@edgesmith/contract/project'
import type { App } from '@edgesmith/service/app'
import type { ArtifactContext } from '../context.ts'

/** Most bytes of a request: about 300 for each artifact. */
const bodyLimit = 8 * 1024 * 1024

/**
 * `POST /internal/download-urls`: signed URLs of many artifacts, for the gateway. They are valid until they
 * expire, and can be neither counted nor revoked one by one.
 */
export function batchDownloadUrlRoute(app: App, { config, publicUrl }: ArtifactContext): void {
  app.post(
    '/internal/download-urls',
    {
      bodyLimit,
      config: { scope: 'artifacts:download' },
      schema: { hide: true, body: DownloadUrlBatchRequest, response: { 200: DownloadUrlBatchResult } },
    },
    ({ principal, body: { artifacts, ttlSeconds } }) => {
      const project = projectOf(principal)
      const expires = Math.floor(Date.now() / 1000) + ttlSeconds
      const options = { baseUrl: publicUrl(), key: config.signingKeys[0] ?? '' }
      return {
        urls: artifacts.map(({ id, name }) =>
          signDownloadUrl({ project, artifactId: id, name, method: 'GET', expires }, options),
        ),
        expiresAt: new Date(expires * 1000).toISOString(),
      }
    },
  )
}
