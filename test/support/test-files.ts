import { globSync } from 'node:fs'
import { matchesGlob, relative } from 'node:path'
import { repositoryDirectory } from '../../deploy/setup/paths.ts'

/** Test files that run side by side, with a time limit for each of them. */
export type TestGroup = {
  readonly files: readonly string[]
  readonly concurrency: number
  readonly fileTimeoutMs: number
}

function find(patterns: readonly string[], only: readonly string[]): string[] {
  return globSync(patterns, { cwd: repositoryDirectory, exclude: (path) => path.includes('node_modules') })
    .map((path) => relative('.', path))
    .filter((path) => only.length === 0 || only.some((glob) => path === glob || matchesGlob(path, glob)))
    .sort()
}

/**
 * The test files of the repository in groups that run one after the other: first the tests of
 * libraries, services and scripts, then those of the whole, which build and boot ISOs.
 * @param only globs of paths from the repository's root; all files when empty.
 */
export function findTestGroups(only: readonly string[]): TestGroup[] {
  return [
    {
      files: find(
        [
          'libs/*/test/**/*.test.ts',
          'services/*/test/**/*.test.ts',
          'deploy/**/*.test.ts',
          'openapi/**/*.test.ts',
        ],
        only,
      ),
      concurrency: 2,
      fileTimeoutMs: 10 * 60_000,
    },
    { files: find(['test/**/*.test.ts'], only), concurrency: 1, fileTimeoutMs: 20 * 60_000 },
  ]
}
