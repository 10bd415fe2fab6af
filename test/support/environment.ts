/**
 * What `test/run.ts` sets up for the tests, which find it in these environment variables. A test that
 * needs one reads it with `fromSetUp`, so that it fails with the command to run where it is absent.
 *
 * Tests start Redis (`startRedisServer`) and MinIO (`startMinio`) themselves.
 */
export const setUpVariables = {
  /** Docker's address; the name every Docker client knows. */
  DOCKER_HOST: 'address of the Docker daemon',
  EDGESMITH_TEST_ENGINE_IMAGE: 'reference of the engine image',
  EDGESMITH_TEST_SYFT: 'path of syft',
  EDGESMITH_TEST_SCHEMATHESIS: 'path of schemathesis',
  EDGESMITH_TEST_CANVOS_REPOSITORY: "path of the CanvOS fixture's git repository",
  EDGESMITH_TEST_CANVOS_ARG_FILE: "file of the build arguments that point at the fixture's registry",
} as const satisfies Record<string, string>

export type SetUpVariable = keyof typeof setUpVariables

/**
 * The value that the set-up gave a variable.
 * @throws Error naming the commands that set it up.
 */
export function fromSetUp(name: SetUpVariable): string {
  const value = process.env[name]
  if (value !== undefined && value !== '') return value
  throw new Error(
    `${name} (${setUpVariables[name]}) is not set. Run this test with: npm test -- --only '<file>', ` +
      'or set the variables in this shell first: eval "$(npm run --silent test:environment)"',
  )
}
