import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isAllowedImage } from '../src/allowed-images.ts'
import { parseEarthfile } from '../src/earthfile.ts'
import { judgeImages } from '../src/image-rules.ts'

const earthfile = parseEarthfile(`VERSION 0.8
ARG --global SPECTRO_PUB_REPO=us-docker.pkg.dev/palette-images
ARG --global ALPINE_TAG=3.20
ARG --global ALPINE_IMG=$SPECTRO_PUB_REPO/edge/canvos/alpine:$ALPINE_TAG
ARG --global PE_VERSION
FROM $ALPINE_IMG
IF [ "$BASE_IMAGE" = "" ]
    ARG --global BASE_IMAGE=quay.io/kairos/ubuntu:\${OS_VERSION}
END

iso:
    BUILD +other
    COPY +other/file ./file
    COPY --if-exists $LOCAL_FILE ./
    COPY +stylus/$PE_VERSION ./

other:
    FROM \
      $BASE_IMAGE
`)

function told(
  given: Record<string, string>,
  allowed: string[] = [],
  operator: Record<string, string> = {},
): string[] {
  const list = Object.entries(given).map(([name, value]) => ({ name, value, source: 'arguments' as const }))
  return judgeImages({ earthfile, given: list, operator, allowed }).map(
    ({ code, pointer }) => `${code.replace('arguments.', '')} ${pointer?.replace('/arguments', '') ?? ''}`,
  )
}

describe('The images that a build may use', () => {
  it('are all of them where none are listed', () => {
    assert.deepEqual(told({ BASE_IMAGE: 'evil.example.com/x:1', SPECTRO_PUB_REPO: 'other.example.com' }), [])
  })

  it('are those of the list, wherever in the Earthfile an argument leads', () => {
    const list = ['registry.example.com/mirror', 'docker.io/library/ubuntu']
    assert.deepEqual(told({ BASE_IMAGE: 'registry.example.com/mirror/base:1' }, list), [])
    assert.deepEqual(told({ BASE_IMAGE: 'ubuntu:22.04' }, list), [])
    assert.deepEqual(told({ SPECTRO_PUB_REPO: 'registry.example.com/mirror' }, list), [])
    for (const [name, value] of [
      ['BASE_IMAGE', 'evil.example.com/base:1'],
      ['BASE_IMAGE', 'registry.example.com/mirrored/base:1'],
      ['SPECTRO_PUB_REPO', 'registry.example.com'],
      ['ALPINE_IMG', 'evil.example.com/alpine'],
      ['SPECTRO_PUB_REPO', 'registry.example.com/mirror/../other'],
      ['IMAGE_REGISTRY', 'evil.example.com/push'],
    ] as const) {
      assert.deepEqual(told({ [name]: value }, list), [`image-not-allowed /${name}`], value)
    }
    assert.deepEqual(told({ OS_VERSION: '22.04' }, list), [])
    // A tag leads nowhere else, and what the operator has set for all is not for users to answer for.
    assert.deepEqual(
      told({ ALPINE_TAG: '3.21' }, list, { SPECTRO_PUB_REPO: 'registry.example.com/mirror' }),
      [],
    )
    assert.deepEqual(told({ PE_VERSION: 'v4.9.0' }, list, { SPECTRO_PUB_REPO: 'elsewhere.example.com' }), [])
  })

  it('are never targets of other repositories or directories', () => {
    for (const [name, value] of [
      ['ALPINE_IMG', 'github.com/evil/repository+target'],
      ['ALPINE_IMG', './content-1+target'],
      ['LOCAL_FILE', 'github.com/evil/repository+target/file'],
      ['SPECTRO_PUB_REPO', 'github.com/evil/repository+target'],
    ] as const) {
      assert.deepEqual(told({ [name]: value }), [`foreign-target /${name}`], value)
    }
    assert.deepEqual(told({ PE_VERSION: '1+2' }), [])
  })

  it('are compared as Docker reads their names', () => {
    assert.equal(isAllowedImage('alpine', ['docker.io/library/alpine']), true)
    assert.equal(isAllowedImage('docker.io/alpine:3', ['docker.io/library/alpine']), true)
    assert.equal(isAllowedImage('team/app', ['docker.io/team']), true)
    assert.equal(isAllowedImage('host:5000/app', ['host']), false)
    assert.equal(isAllowedImage('host.example.com:5000/app', ['host.example.com']), false)
    assert.equal(isAllowedImage('host.example.com:5000/app', ['host.example.com:5000']), true)
    assert.equal(isAllowedImage('host.example.com/app@sha256:00', ['host.example.com/app']), true)
    assert.equal(isAllowedImage('HOST.example.com/app', ['host.example.com']), true)
    assert.equal(isAllowedImage('host.example.com.evil.org/app', ['host.example.com']), false)
  })
})
