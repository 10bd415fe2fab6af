import { join, resolve } from 'node:path'

/** The root of the repository. */
export const repositoryDirectory = resolve(import.meta.dirname, '../..')

/** Where commands keep what they make: data, logs, built files. Git ignores it. */
export const stateDirectory = join(repositoryDirectory, '.edgesmith')
