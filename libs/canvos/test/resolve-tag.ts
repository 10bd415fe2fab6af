import { openMirror } from '../src/mirror.ts'

/** A process of its own that resolves a tag: `resolve-tag.ts <repository> <mirror directory> <tag>`. */
const [repository = '', directory = '', tag = ''] = process.argv.slice(2)
const resolved = await openMirror({ repository, directory }).resolveTag(tag)
process.stdout.write(resolved?.commit ?? 'unknown')
