import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { parseKey } from '@edgesmith/provenance/keys'
import { verifyProvenance } from '@edgesmith/provenance/verify'
import { runCommandLine } from './setup/command-line.ts'

const usage = 'npm run verify -- --key KEY [--key KEY]... [--builder-id URI] FILE PROVENANCE'

/**
 * Checks that a file is the artifact that its provenance is about, and that one of the keys has signed that. Asks no
 * service.
 */
await runCommandLine('verify', async () => {
  const { values, positionals } = parseArgs({
    options: { key: { type: 'string', multiple: true, default: [] }, 'builder-id': { type: 'string' } },
    allowPositionals: true,
  })
  const [file, provenance, ...others] = positionals
  if (file === undefined || provenance === undefined || others.length > 0 || values.key.length === 0) {
    throw new Error(`Use it so: ${usage}`)
  }
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  const sha256 = hash.digest('hex')
  const keys = await Promise.all(values.key.map(async (path) => parseKey(await readFile(path, 'utf8'))))
  const { predicate } = verifyProvenance({
    provenance: await readFile(provenance, 'utf8'),
    ...{ sha256, keys, builderId: values['builder-id'] },
  })
  const { externalParameters, resolvedDependencies } = predicate.buildDefinition
  const canvos = resolvedDependencies.find(({ name }) => name === 'canvos')
  console.log(`${file} sha256:${sha256}`)
  console.log(`built ${externalParameters.target} of CanvOS ${externalParameters.tag}, ${canvos?.uri ?? ''}`)
  console.log(`commit ${canvos?.digest?.['gitCommit'] ?? ''}`)
  console.log(`by ${predicate.runDetails.builder.id}, ${predicate.runDetails.metadata.invocationId}`)
  for (const { name, uri } of resolvedDependencies) if (name !== 'canvos') console.log(`of ${uri}`)
  console.log('verify: ok')
})
