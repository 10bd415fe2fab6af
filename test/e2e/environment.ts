import { readFile } from 'node:fs/promises'
import { operatorKey } from '../support/as-operator.ts'
import { fromSetUp } from '../support/environment.ts'

/** The environment of services that build the CanvOS fixture, on free ports. */
export async function serviceEnvironment(): Promise<Record<string, string>> {
  const argFile = fromSetUp('EDGESMITH_TEST_CANVOS_ARG_FILE')
  const registry = /=([^/\s]+)/.exec(await readFile(argFile, 'utf8'))?.[1]
  if (registry === undefined) throw new Error(`${argFile} names no registry`)
  return {
    DOCKER_HOST: fromSetUp('DOCKER_HOST'),
    ENGINE_IMAGE: fromSetUp('EDGESMITH_TEST_ENGINE_IMAGE'),
    CANVOS_REPOSITORY: fromSetUp('EDGESMITH_TEST_CANVOS_REPOSITORY'),
    DEFAULT_ARG_FILE: argFile,
    INSECURE_REGISTRIES: registry,
    BOOTSTRAP_API_KEY: operatorKey,
    SBOM_TOOL: fromSetUp('EDGESMITH_TEST_SYFT'),
    GATEWAY_PORT: '0',
    VALIDATION_PORT: '0',
    BUILDER_PORT: '0',
    ARTIFACT_PORT: '0',
  }
}
