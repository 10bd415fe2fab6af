import { basename } from 'node:path'
import { operatorKey } from '../../../test/support/as-operator.ts'
import { fromSetUp } from '../../../test/support/environment.ts'

/** The environment of a standalone service that keeps everything in a directory, and whose worker is called like it. */
export function standaloneEnvironment(directory: string): Record<string, string> {
  return {
    EDGESMITH_DATA_DIRECTORY: directory,
    GATEWAY_PORT: '0',
    VALIDATION_PORT: '0',
    BUILDER_PORT: '0',
    ARTIFACT_PORT: '0',
    BUILDER_ID: basename(directory),
    BOOTSTRAP_API_KEY: operatorKey,
    DOCKER_HOST: fromSetUp('DOCKER_HOST'),
    ENGINE_IMAGE: fromSetUp('EDGESMITH_TEST_ENGINE_IMAGE'),
    CANVOS_REPOSITORY: fromSetUp('EDGESMITH_TEST_CANVOS_REPOSITORY'),
  }
}
