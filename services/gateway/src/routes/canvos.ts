import {
  CanvosReleases,
  CanvosTag,
  ReleaseArguments,
  ReleaseKubernetesVersions,
} from '@edgesmith/contract/release'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import type { GatewayContext } from '../context.ts'

const Params = Type.Object({ tag: CanvosTag })

/** The routes of `/v1/canvos`: what the validation service reads in the CanvOS repository. */
export function canvosRoutes(app: App, { validation }: GatewayContext): void {
  app.get(
    '/v1/canvos/releases',
    {
      config: { scope: 'canvos:read' },
      schema: {
        operationId: 'listCanvosReleases',
        tags: ['canvos'],
        summary: 'List the CanvOS tags that can be built, newest version first',
        response: {
          200: { description: 'The releases.', content: { 'application/json': { schema: CanvosReleases } } },
          ...problemResponses(),
        },
      },
    },
    () => validation.releases(),
  )

  app.get(
    '/v1/canvos/releases/:tag/arguments',
    {
      config: { scope: 'canvos:read' },
      schema: {
        operationId: 'listReleaseArguments',
        tags: ['canvos'],
        summary: 'List the arguments that builds of a CanvOS tag take',
        description: "Answered from the tag's own Earthfile and CanvOS's documentation.",
        params: Params,
        response: {
          200: {
            description: 'The arguments.',
            content: { 'application/json': { schema: ReleaseArguments } },
          },
          ...problemResponses('invalid-parameter', 'release-not-found'),
        },
      },
    },
    (request) => validation.releaseArguments(request.params.tag),
  )

  app.get(
    '/v1/canvos/releases/:tag/kubernetes-versions',
    {
      config: { scope: 'canvos:read' },
      schema: {
        operationId: 'listReleaseKubernetesVersions',
        tags: ['canvos'],
        summary: 'List the Kubernetes versions that provider images of a CanvOS tag can have',
        description: "Answered from the tag's own `k8s_version.json`, which CanvOS has from v4.4.12 on.",
        params: Params,
        response: {
          200: {
            description: 'The versions.',
            content: { 'application/json': { schema: ReleaseKubernetesVersions } },
          },
          ...problemResponses('invalid-parameter', 'release-not-found'),
        },
      },
    },
    (request) => validation.releaseKubernetesVersions(request.params.tag),
  )
}
