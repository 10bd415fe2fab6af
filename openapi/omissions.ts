type Schema = { readonly $ref?: string; readonly examples?: readonly unknown[] }

type MediaType = {
  readonly schema?: Schema
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, unknown>>
}

type Content = Readonly<Record<string, MediaType>>

type Operation = {
  readonly operationId?: string
  readonly tags?: readonly string[]
  readonly security?: readonly unknown[]
  readonly requestBody?: { readonly content?: Content }
  readonly responses?: Readonly<Record<string, { readonly content?: Content }>>
}

/** The parts of an OpenAPI document that are looked at here. */
export type OpenApiDocument = {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> }
}

const methods = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace']

function hasExample(document: OpenApiDocument, { schema, example, examples }: MediaType): boolean {
  if (example !== undefined || Object.keys(examples ?? {}).length > 0) return true
  const name = schema?.$ref?.replace('#/components/schemas/', '')
  const resolved = name === undefined ? schema : document.components?.schemas?.[name]
  return (resolved?.examples ?? []).length > 0
}

function omissionsOf(document: OpenApiDocument, operation: Operation): string[] {
  const { operationId, tags = [], security = [], requestBody, responses = {} } = operation
  const omissions: string[] = []
  if (operationId === undefined) omissions.push('has no operationId')
  if (tags.length === 0) omissions.push('has no tag')
  if (security.length === 0) omissions.push('has no security requirement')
  if (!Object.keys(responses).some((status) => status.startsWith('4'))) omissions.push('has no 4xx response')
  const bodies: [string, Content][] = [
    ['request', requestBody?.content ?? {}],
    ...Object.entries(responses).map(([status, { content = {} }]): [string, Content] => [
      `response ${status}`,
      content,
    ]),
  ]
  for (const [status, { content }] of Object.entries(responses)) {
    if (!/^[45]/.test(status)) continue
    const types = Object.keys(content ?? {})
    if (types.join() !== 'application/problem+json')
      omissions.push(`response ${status} is not application/problem+json alone`)
  }
  for (const [place, content] of bodies) {
    for (const [type, mediaType] of Object.entries(content)) {
      if (/[/+]json$/.test(type) && !hasExample(document, mediaType))
        omissions.push(`${place} has no example of ${type}`)
    }
  }
  return omissions
}

/** What the operations of a document lack of what every operation of this API has. */
export function findOmissions(document: OpenApiDocument): string[] {
  const paths = Object.entries(document.paths ?? {})
  if (paths.length === 0) return ['#/paths: the document has no path']
  return paths.flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => methods.includes(method))
      .flatMap(([method, operation]) =>
        omissionsOf(document, operation).map((omission) => `${method.toUpperCase()} ${path} ${omission}`),
      ),
  )
}
