import fastifySwagger from '@fastify/swagger'
import type { App } from './app.ts'

/** What the OpenAPI document says besides the operations. */
export const apiDescription = {
  openapi: '3.1.0',
  info: {
    title: 'Edgesmith',
    version: '1.0.0',
    summary: 'EdgeForge as a service',
    description:
      'Builds Spectro Cloud Palette Edge installer ISOs and provider images with CanvOS. Every error is answered as `application/problem+json` (RFC 9457).',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: 'http://127.0.0.1:8080', description: 'A standalone service on its default port.' }],
  tags: [
    { name: 'uploads', description: 'Files that builds use.' },
    { name: 'builds', description: 'Builds: asking for them, following them, ending them.' },
    { name: 'fleets', description: 'The ISOs of many sites, from one template and one table.' },
    { name: 'artifacts', description: 'The files that builds make.' },
    { name: 'retention', description: 'What is kept, and for how long.' },
    { name: 'validations', description: 'Checks without a build.' },
    { name: 'canvos', description: 'What CanvOS offers.' },
  ],
  security: [{ bearerToken: [] }],
  components: {
    securitySchemes: {
      bearerToken: {
        type: 'http',
        scheme: 'bearer',
        description: 'An API token (`API_TOKENS`). Not asked for where none is configured.',
      },
      signedUrl: {
        type: 'apiKey',
        in: 'query',
        name: 'signature',
        description: 'The signature of a signed URL.',
      },
    },
  },
} as const

/** Collects the app's operations for its OpenAPI document; to be called before the routes are added. */
export async function describeApi(app: App): Promise<void> {
  await app.register(fastifySwagger, { openapi: structuredClone(apiDescription) as never })
}
