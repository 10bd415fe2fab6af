import { ProjectId } from '@edgesmith/contract/project'
import type { Principal } from '@edgesmith/contract/access'
import { NewProject, Project, ProjectList } from '@edgesmith/contract/tenant'
import { projectNotFound } from '@edgesmith/identity/tenants'
import type { App } from '@edgesmith/service/app'
import { problemResponses } from '@edgesmith/service/problem-responses'
import { Type } from 'typebox'
import type { GatewayContext } from '../context.ts'
import { removeProject } from '../project-removal.ts'

const Params = Type.Object({ projectId: ProjectId })
const json = (schema: object, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

/** The routes of `/v1/projects`: those of the tenant of whoever asks. */
export function projectRoutes(app: App, context: GatewayContext): void {
  app.post(
    '/v1/projects',
    {
      config: { scope: 'projects:write' },
      schema: {
        operationId: 'createProject',
        tags: ['projects'],
        summary: 'Create a project',
        description: 'Requests act in it with the header `Edgesmith-Project`, or with a key that is for it.',
        body: NewProject,
        response: {
          201: {
            ...json(Project, 'The project.'),
            headers: {
              Location: { type: 'string', format: 'uri-reference', description: 'The project.' },
            },
          },
          ...problemResponses(
            'malformed-request',
            'invalid-parameter',
            'invalid-body',
            'project-exists',
            'too-many-projects',
          ),
        },
      },
    },
    async (request, reply) => {
      const { id, name } = request.body
      const { projects } = await context.identity.tenants.addProject(
        { tenant: request.principal.tenant, project: id },
        name,
      )
      const project = projects.find((known) => known.id === id) ?? projectNotFound(id)
      return reply.code(201).header('location', `/v1/projects/${id}`).send(project)
    },
  )

  app.get(
    '/v1/projects',
    {
      config: { scope: 'projects:read' },
      schema: {
        operationId: 'listProjects',
        tags: ['projects'],
        summary: 'List the projects of the tenant',
        description: 'In the order in which they were created; with credentials of one project, that one.',
        response: { 200: json(ProjectList, 'The projects.'), ...problemResponses('invalid-parameter') },
      },
    },
    async (request) => ({ items: await visibleTo(request.principal) }),
  )

  app.get(
    '/v1/projects/:projectId',
    {
      config: { scope: 'projects:read' },
      schema: {
        operationId: 'getProject',
        tags: ['projects'],
        summary: 'Tell about a project',
        params: Params,
        response: { 200: json(Project, 'The project.'), ...problemResponses('invalid-parameter') },
      },
    },
    async (request) => {
      const { projectId } = request.params
      const visible = await visibleTo(request.principal)
      return visible.find(({ id }) => id === projectId) ?? projectNotFound(projectId)
    },
  )

  app.delete(
    '/v1/projects/:projectId',
    {
      config: { scope: 'projects:write' },
      schema: {
        operationId: 'deleteProject',
        tags: ['projects'],
        summary: 'Delete a project',
        description:
          'Only one that holds no builds, fleets, uploads and secrets any more (uploads go by retention), and never `default`. Keys that are for it are of no use from then on.',
        params: Params,
        response: {
          204: { description: 'The project is gone.', type: 'null' },
          ...problemResponses('invalid-parameter', 'project-in-use'),
        },
      },
    },
    async (request, reply) => {
      const { tenant } = request.principal
      await removeProject(context, { tenant, project: request.params.projectId })
      return reply.code(204).send(null)
    },
  )

  async function visibleTo(principal: Principal): Promise<Project[]> {
    const { projects } = await context.identity.tenants.require(principal.tenant)
    return projects.filter(({ id }) => principal.everyProject === true || id === principal.project)
  }
}
