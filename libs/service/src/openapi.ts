import fastifySwagger from '@fastify/swagger'
import { scopes } from '@edgesmith/contract/access'
import { ProjectId } from '@edgesmith/contract/project'
import type { FastifySchema } from 'fastify'
import { Type, type TObject } from 'typebox'
import type { RouteScope } from './access.ts'
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
    { name: 'secrets', description: 'Tokens and passwords that builds use; they go in, and never out.' },
    { name: 'audit', description: 'Who did what to which object.' },
    { name: 'validations', description: 'Checks without a build.' },
    { name: 'canvos', description: 'What CanvOS offers.' },
    { name: 'keys', description: 'API keys, and who one is.' },
    { name: 'projects', description: 'The projects of a tenant.' },
    { name: 'tenants', description: 'The tenants of the service, for its operator.' },
  ],
  components: {
    securitySchemes: {
      bearerToken: {
        type: 'http',
        scheme: 'bearer',
        description: `An API key, or the token of an OIDC issuer that the service knows. What an operation asks for:\n\n${scopeList()}`,
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

const ProjectHeader = Type.Object({
  'edgesmith-project': Type.Optional({
    ...ProjectId,
    description:
      'The project in which the request acts, for credentials of several; `default`, or the only one of the credentials, when left out.',
  }),
})

/** Collects the app's operations for its OpenAPI document; to be called before the routes are added. */
export async function describeApi(app: App): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: structuredClone(apiDescription) as never,
    transform: ({ schema, url, route }) => ({ url, schema: withAccess(schema, route.config?.scope) }),
  })
}

/** The schema of a route with what its `config.scope` asks for, and the header that goes with credentials. */
function withAccess(schema: FastifySchema, scope: RouteScope | undefined): FastifySchema {
  if (schema.security !== undefined || schema.hide === true) return schema
  if (scope === undefined || scope === 'public') return { ...schema, security: [] }
  const headers = schema.headers as TObject | undefined
  return {
    ...schema,
    security: [{ bearerToken: scope === 'any' ? [] : [scope] }],
    headers: Type.Object({ ...headers?.properties, ...ProjectHeader.properties }),
  }
}

function scopeList(): string {
  return Object.entries(scopes)
    .map(([name, meaning]) => `- \`${name}\`: ${meaning}`)
    .join('\n')
}
