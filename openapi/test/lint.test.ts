import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { documentFile, generateDocumentText } from '../committed-document.ts'
import { lintDocumentText } from '../lint.ts'

type Json = { [key: string]: Json }

describe('the OpenAPI document', () => {
  it('is generated the same each time', async () => {
    assert.equal(await generateDocumentText(), await generateDocumentText())
  })

  const breaks: [fault: RegExp, change: (document: Json, operation: Json) => void][] = [
    [/operationId/, (_document, operation) => delete operation['operationId']],
    [/has no tag/, (_document, operation) => delete operation['tags']],
    [/operation-tag-defined/, (document) => delete document['tags']],
    [/has no security requirement/, (_document, operation) => delete operation['security']],
    [/operation-summary/, (_document, operation) => delete operation['summary']],
    [
      /operation-4xx-response/,
      (_document, operation) => {
        for (const status of Object.keys(operation['responses'] ?? {})) {
          if (status.startsWith('4')) delete operation['responses']?.[status]
        }
      },
    ],
    [/no-unresolved-refs/, (document) => delete document['components']?.['schemas']?.['Problem']],
    [
      /no example of application\/json/,
      (document) => delete document['components']?.['schemas']?.['CanvosReleases']?.['examples'],
    ],
    [/no path/, (document) => (document['paths'] = {})],
    [
      /pattern-linear/,
      (_document, operation) => {
        Object.assign(operation, { 'x-slow': { type: 'string', pattern: '^(?:a*,?)*$' } })
      },
    ],
  ]
  for (const [fault, change] of breaks) {
    it(`is refused with a fault that says: ${fault.source}`, async () => {
      const document = JSON.parse(await readFile(documentFile, 'utf8')) as Json
      const faultless = await lintDocumentText(JSON.stringify(document))
      assert.ok(!faultless.some((found) => fault.test(found)))
      change(document, document['paths']?.['/v1/canvos/releases']?.['get'] ?? {})
      const faults = await lintDocumentText(JSON.stringify(document))
      assert.ok(
        faults.some((found) => fault.test(found)),
        faults.join('\n'),
      )
    })
  }
})
