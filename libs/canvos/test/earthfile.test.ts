import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { declaredArguments, parseEarthfile } from '../src/earthfile.ts'
import { releaseArguments } from '../src/release-arguments.ts'

const earthfile06 = `VERSION --arg-scope-and-set --shell-out-anywhere 0.6
# ARG COMMENTED=out
ARG TARGETARCH
ARG REGISTRY=registry.example.com/images
ARG IMAGE=$REGISTRY/alpine:3.20
FROM $IMAGE

ARG FIPS_ENABLED=false   # a comment
IF [ "$FIPS_ENABLED" = "true" ] && \\
   [ "$REGISTRY" != "" ]
    LET REGISTRY=other
    IF [ "$OS_VERSION" == 22 ]
        ARG BASE_IMAGE_TAG=a:$OS_VERSION.04
    ELSE
        ARG BASE_IMAGE_TAG="b:$OS_VERSION"
    END
ELSE IF [ "$OS_DISTRIBUTION" = "x" ]
    ARG BASE_IMAGE
END
ARG BRANDING="Palette eXtended # Edge"
ARG EMPTY=""
ARG ISO_NAME = installer
ARG LONG=\\
    value

build-all-images:
    ARG IN_TARGET=1
    BUILD +iso

iso:
    RUN echo \\
      not-a-target: && true

BASE_ALPINE:
    COMMAND
    ARG IN_COMMAND
`

const earthfile08 = `# A licence
VERSION 0.8
ARG --global ARCH
ARG --required --global TAG
ARG LOCAL=x
WAIT
    ARG --global WAITED="'quoted'"
END
test.image: # with a comment
    FUNCTION
    ARG --global NOT_THIS
`

describe('declaredArguments', () => {
  it('lists what stands before the first target, blocks included', () => {
    const declared = declaredArguments(earthfile06)
    assert.deepEqual(
      declared.map(({ name, default: value, conditional }) => [name, value, conditional]),
      [
        ['TARGETARCH', undefined, false],
        ['REGISTRY', 'registry.example.com/images', false],
        ['IMAGE', '$REGISTRY/alpine:3.20', false],
        ['FIPS_ENABLED', 'false', false],
        ['BASE_IMAGE_TAG', 'a:$OS_VERSION.04', true],
        ['BASE_IMAGE_TAG', 'b:$OS_VERSION', true],
        ['BASE_IMAGE', undefined, true],
        ['BRANDING', 'Palette eXtended # Edge', false],
        ['EMPTY', '', false],
        ['ISO_NAME', 'installer', false],
        ['LONG', 'value', false],
      ],
    )
  })

  it('reads the flags of later versions', () => {
    assert.deepEqual(declaredArguments(earthfile08), [
      { name: 'ARCH', conditional: false, global: true },
      { name: 'TAG', conditional: false, global: true },
      { name: 'LOCAL', default: 'x', conditional: false, global: false },
      { name: 'WAITED', default: "'quoted'", conditional: true, global: true },
    ])
  })

  it('reads a file with Windows line endings', () => {
    assert.deepEqual(declaredArguments(earthfile08.replaceAll('\n', '\r\n')), declaredArguments(earthfile08))
  })

  it('finds nothing in an empty file', () => {
    assert.deepEqual(declaredArguments(''), [])
  })
})

describe('An Earthfile of VERSION 0.8', () => {
  const parsed = parseEarthfile(`VERSION --try --raw-output 0.8
PROJECT example/canvos
IMPORT ./lib AS lib
ARG --global ARCH=amd64
ARG --global --required OS_DISTRIBUTION
ARG --global PE_VERSION = "v5.0.0" # what is built
ARG BASE_ONLY=1
LET registry = registry.example.com
SET registry = other.example.com
IF [ "$ARCH" = "arm64" ]
    ARG --global OS_VERSION=24.04
ELSE
    ARG --global OS_VERSION=22.04
END
TRY
    RUN true
FINALLY
    SAVE ARTIFACT log AS LOCAL log
END
ARG --global AFTER_BLOCKS

build-all-images:
    ARG --global NOT_GLOBAL=1
    BUILD --pass-args +iso
iso:
    DO lib+COPY --from=+base
    WAIT
        BUILD +other
    END
UPDATE:
    FUNCTION
    ARG IN_FUNCTION
`)

  it('declares its global arguments, those after its blocks too', () => {
    assert.deepEqual(parsed.declared, [
      { name: 'ARCH', default: 'amd64', conditional: false, global: true },
      { name: 'OS_DISTRIBUTION', conditional: false, global: true },
      { name: 'PE_VERSION', default: 'v5.0.0', conditional: false, global: true },
      { name: 'BASE_ONLY', default: '1', conditional: false, global: false },
      { name: 'OS_VERSION', default: '24.04', conditional: true, global: true },
      { name: 'OS_VERSION', default: '22.04', conditional: true, global: true },
      { name: 'AFTER_BLOCKS', conditional: false, global: true },
    ])
  })

  it('has its targets and functions', () => {
    assert.deepEqual(parsed.targets, new Set(['build-all-images', 'iso', 'UPDATE']))
  })
})

describe('parseEarthfile', () => {
  it('knows targets and commands by their names', () => {
    assert.deepEqual(parseEarthfile(earthfile06).targets, new Set(['build-all-images', 'iso', 'BASE_ALPINE']))
    assert.deepEqual(parseEarthfile(earthfile08).targets, new Set(['test.image']))
  })
})

describe('releaseArguments', () => {
  it('lists the documented arguments of a tag, then what else its Earthfile declares', () => {
    const listed = releaseArguments(
      'v4.5.0',
      declaredArguments('VERSION 0.6\nARG ARCH\nARG ISO_NAME=tiny\nARG DEBUG=false\nARG DEBUG\niso:\n'),
    )
    assert.deepEqual(
      listed.map(({ name, advanced, required }) => [name, required, advanced]),
      [
        ['ARCH', true, false],
        ['K8S_VERSION', false, false],
        ['ISO_NAME', false, false],
        ['MY_ORG', false, false],
        ['EXPIRATION_IN_DAYS', false, false],
        ['DEBUG', false, true],
      ],
    )
    assert.equal(listed.find(({ name }) => name === 'ISO_NAME')?.default, 'tiny')
    assert.equal(listed.find(({ name }) => name === 'ARCH')?.values, '`amd64`, `arm64`')
  })
})
