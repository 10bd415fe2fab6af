import * as artifactConfig from '@edgesmith/artifact-service/config'
import { createArtifactApp } from '@edgesmith/artifact-service/app'
import type { ArtifactContext } from '@edgesmith/artifact-service/context'
import * as gatewayConfig from '@edgesmith/gateway-service/config'
import { createGatewayApi } from '@edgesmith/gateway-service/app'
import type { GatewayContext } from '@edgesmith/gateway-service/context'
import { createLogger } from '@edgesmith/service/lifecycle'

type JsonObject = { [key: string]: unknown }

const environment = {
  OBJECT_STORE: 'directory',
  OBJECT_DIRECTORY: '.',
  SIGNING_KEYS: '-'.repeat(32),
  SERVICE_TLS_DIRECTORY: '-',
}

/** But for their configuration, routes use their context when a request comes: nothing is opened here. */
const gatewayContext = {
  config: gatewayConfig.toConfig(gatewayConfig.readEnv(environment)),
  validation: {},
} as unknown as GatewayContext
const artifactContext = {
  config: artifactConfig.toConfig(artifactConfig.readEnv(environment)),
} as unknown as ArtifactContext

/** The OpenAPI document of the public API: the operations of the gateway and of the artifact service. */
export async function generateDocument(): Promise<JsonObject> {
  const logger = createLogger('openapi', 'silent')
  await using gateway = await createGatewayApi(gatewayContext, logger)
  await using artifact = await createArtifactApp(artifactContext, logger)
  await Promise.all([gateway.ready(), artifact.ready()])
  const document = gateway.swagger() as unknown as JsonObject
  const paths = { ...(document['paths'] as JsonObject), ...(artifact.swagger().paths as JsonObject) }
  return withNamedSchemas({ ...document, paths: sortByKey(withoutHeadSuffix(paths)) })
}

/** Operations of HEAD are routes of their own here, so that they need no `-head` behind their names. */
function withoutHeadSuffix(paths: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(paths), (key, value: unknown) =>
    key === 'operationId' && typeof value === 'string' ? value.replace(/-head$/, '') : value,
  ) as JsonObject
}

function sortByKey(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Moves every schema that has a `title` to `components.schemas` and refers to it. */
function withNamedSchemas(document: JsonObject): JsonObject {
  const schemas: JsonObject = {}
  const refer = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(refer)
    if (typeof value !== 'object' || value === null) return value
    const { title, ...rest } = value as JsonObject
    const entries = Object.entries(rest).map(([key, item]) => [
      key,
      key === 'examples' || key === 'example' ? item : refer(item),
    ])
    const schema = Object.fromEntries(entries) as JsonObject
    if (typeof title !== 'string' || !isSchema(rest))
      return title === undefined ? schema : { title, ...schema }
    schemas[title] = schema
    return { $ref: `#/components/schemas/${title}` }
  }
  const paths = refer(document['paths'])
  const components = document['components'] as JsonObject
  return { ...document, paths, components: { ...components, schemas: sortByKey(schemas) } }
}

function isSchema(value: JsonObject): boolean {
  return 'type' in value || 'anyOf' in value
}
