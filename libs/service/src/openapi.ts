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
    transform: ({ schema, url, route }) => ({
      url,
      schema: withNamePatterns(withDefaults(withAccess(schema, route.config?.scope))),
    }),
  })
}

/** The schema of a route with what a client may leave out of a request as what it is: fields with a default. */
function withDefaults(schema: FastifySchema): FastifySchema {
  const { querystring, body } = schema
  return {
    ...schema,
    ...(querystring === undefined ? {} : { querystring: withoutDefaulted(querystring) }),
    ...(body === undefined ? {} : { body: withoutDefaulted(body) }),
  }
}

/** A schema that asks for no field with a default, in objects within it neither: where one is missing it is set. */
function withoutDefaulted<T>(value: T): T {
  if (Array.isArray(value)) return value.map(withoutDefaulted) as T
  if (typeof value !== 'object' || value === null) return value
  const schema = Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, withoutDefaulted<unknown>(item)]),
  )
  const { required, properties } = schema
  if (!Array.isArray(required) || typeof properties !== 'object') return schema as T
  const hasDefault = (name: string) =>
    (properties as Record<string, { default?: unknown } | undefined>)[name]?.default !== undefined
  const asked = (required as string[]).filter((name) => !hasDefault(name))
  return (asked.length > 0 ? { ...schema, required: asked } : without(schema, 'required')) as T
}

function without(object: Record<string, unknown>, name: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([key]) => key !== name))
}

/** The pattern that TypeBox has for names of any kind. */
const anyName = '^.*$'

/**
 * The schema of a route with `propertyNames` where records have a pattern of names: of `patternProperties`, which
 * OpenAPI had not before 3.1, @fastify/swagger tells the values alone.
 */
function withNamePatterns<T>(value: T): T {
  if (Array.isArray(value)) return value.map(withNamePatterns) as T
  if (typeof value !== 'object' || value === null) return value
  const { patternProperties, ...rest } = value as { patternProperties?: Record<string, object> }
  const schema = Object.fromEntries(
    Object.entries(rest).map(([name, item]) => [name, withNamePatterns<unknown>(item)]),
  )
  const [[pattern, values] = []] = Object.entries(patternProperties ?? {})
  if (pattern === undefined) return schema as T
  const names = pattern === anyName ? {} : { propertyNames: { pattern } }
  return { ...schema, ...names, additionalProperties: withNamePatterns(values) } as T
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
