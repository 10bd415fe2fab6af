import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { EarthlyOutput, type OutputLine } from '@edgesmith/engine/earthly-output'
import { Redactor } from '@edgesmith/redaction/redactor'

/** What Earthly 0.8.16 printed. */
function captured(name: string): Promise<Buffer> {
  return readFile(join(import.meta.dirname, 'output', `${name}.txt`))
}

/** Reads output that comes in pieces of a size. */
function read(bytes: Buffer, pieceSize = bytes.length): { output: EarthlyOutput; lines: OutputLine[] } {
  const output = new EarthlyOutput()
  const lines: OutputLine[] = []
  for (let start = 0; start < bytes.length; start += pieceSize) {
    lines.push(...output.push(bytes.subarray(start, start + pieceSize)))
  }
  lines.push(...output.end())
  return { output, lines }
}

function line(text: string): OutputLine | undefined {
  return read(Buffer.from(`${text}\n`)).lines[0]
}

describe('EarthlyOutput', () => {
  it('tells where a build is', async () => {
    const { output } = read(await captured('success'))
    assert.deepEqual(output.progress, { target: '+iso', targetsSeen: 3, steps: 8, cachedSteps: 1 })
    assert.equal(output.failingTarget, undefined)
  })

  it('tells the target that failed', async () => {
    assert.equal(read(await captured('failing')).output.failingTarget, '+inner')
    assert.equal(read(await captured('nofile')).output.failingTarget, '+nofile')
    assert.equal(read(await captured('missing')).output.failingTarget, '+absent')
  })

  it('does not count a command again when its failure is repeated', async () => {
    assert.equal(read(await captured('failing')).output.progress.steps, 8)
  })

  it('reads the same wherever the output is cut', async () => {
    for (const name of ['success', 'failing', 'missing']) {
      const bytes = await captured(name)
      const whole = read(bytes)
      for (const size of [1, 2, 3, 7, 64]) {
        const cut = read(bytes, size)
        assert.deepEqual(cut.lines, whole.lines, `${name} in pieces of ${size}`)
        assert.deepEqual(cut.output.progress, whole.output.progress)
        assert.deepEqual(cut.output.tail, whole.output.tail)
      }
    }
  })

  it('keeps the lines as a person reads them', async () => {
    const { lines } = read(await captured('success'))
    assert.ok(lines.some(({ line: text }) => text === '+iso | a | b'))
    assert.ok(lines.some(({ line: text }) => text === '+iso | three'))
    assert.ok(lines.every(({ line: text }) => !/[\u0000-\u0008\u000b-\u001f]/.test(text)))
  })

  const prefixes: [text: string, target: string | undefined][] = [
    ['+iso | --> RUN true', '+iso'],
    ['             ./images+iso | --> RUN true', './images+iso'],
    ['github.com/org/repo:main+iso | --> RUN true', 'github.com/org/repo:main+iso'],
    ['+iso(https://example.com/repo.git#main) | text', '+iso'],
    ['+iso *local* | --> RUN true', '+iso'],
    ['+iso *failed* | text', '+iso'],
    ['registry.example.com/image:1 | --> Load metadata', undefined],
    ['buildkitd | ...Done', undefined],
    ['output | sent 1 file stat', undefined],
    ['a line + more | text', undefined],
    ['', undefined],
  ]
  for (const [text, target] of prefixes) {
    it(`finds ${target ?? 'no target'} in ${JSON.stringify(text)}`, () => {
      assert.deepEqual(line(text), { line: text.trim(), ...(target === undefined ? {} : { target }) })
    })
  }

  it('takes terminal control out', () => {
    assert.equal(line('+iso | \u001b[31mred\u001b[0m\u0007\u001b[K')?.line, '+iso | red')
  })

  it('bounds a line that never ends', () => {
    const output = new EarthlyOutput()
    const piece = Buffer.alloc(1024 * 1024, 'x')
    for (let i = 0; i < 32; i++) assert.deepEqual(output.push(piece), [])
    const [only] = output.push(Buffer.from('\n'))
    assert.ok(only !== undefined && only.line.length < 9000)
    assert.match(only.line, /… \[\d+ characters left out\]$/)
  })

  it('keeps no more lines than are needed to tell the end', () => {
    const output = new EarthlyOutput()
    for (let i = 0; i < 1000; i++) output.push(Buffer.from(`line ${i}\n`))
    assert.equal(output.tail.length, 30)
    assert.equal(output.tail.at(-1), 'line 999')
  })

  it('counts the steps of a Dockerfile to the target that uses it, and names it when one fails', () => {
    const { output } = read(
      Buffer.from(
        [
          '         +base-image | --> FROM DOCKERFILE',
          '                 1/2 | --> FROM debian:bookworm',
          '                 2/2 | --> RUN update-ca-certificates',
          '                 2/2 | /bin/sh: update-ca-certificates: not found',
          '        2/2 *failed* | Repeating the failure error...',
          '          +iso-image | in\t\t/canvos:v4.9.36+base-image',
          '   +iso-image-rootfs | in\t\t/canvos:v4.9.36+iso-image',
          '',
        ].join('\n'),
      ),
    )
    assert.equal(output.failingTarget, '+base-image')
    assert.deepEqual(output.progress, { target: '+base-image', targetsSeen: 1, steps: 3, cachedSteps: 0 })
  })

  it('names the innermost target of an error that drags others along', () => {
    const { output } = read(
      Buffer.from(
        '+iso-image | in\t\tgithub.com/o/r:v1+base-image\n+iso | in\t\tgithub.com/o/r:v1+iso-image\n',
      ),
    )
    assert.equal(output.failingTarget, 'github.com/o/r:v1+base-image')
  })

  it('leaves out of the last lines what tells nothing, and cuts what is too long', () => {
    const { output } = read(
      Buffer.from(
        [
          '+base *failed* | ARCH=amd64 BASE_IMAGE=r/b:1 ISO_NAME=',
          '+base *failed* | a=b is not the cause',
          `+base *failed* | ${'x'.repeat(1000)}`,
          'Help: To debug your build, you can use the --interactive (-i) flag',
          '',
        ].join('\n'),
      ),
    )
    assert.deepEqual(
      output.tail.map((text) => text.length),
      ['+base *failed* | a=b is not the cause'.length, 501],
    )
  })

  it('masks secrets in lines and in the last lines, however the output is cut', () => {
    const secret = 'canary-0123456789-abcdefghij'
    const bytes = Buffer.from(
      [
        `+iso *failed* | HTTPS_PROXY=http://user:${secret}@proxy ISO_NAME=x`,
        `+iso | the token is ${secret}.`,
        `+iso | ${secret.slice(0, 8)}\u001b[31m${secret.slice(8)}\u001b[0m in colour`,
        `+iso | ${'x'.repeat(480)}${secret}`,
        `+iso | ${'x'.repeat(8192 - 7 - 12)}${secret}`,
        '',
      ].join('\n'),
    )
    for (const size of [1, 3, 64, bytes.length]) {
      const output = new EarthlyOutput(new Redactor([secret]))
      const lines: OutputLine[] = []
      for (let start = 0; start < bytes.length; start += size)
        lines.push(...output.push(bytes.subarray(start, start + size)))
      assert.equal(lines.length, 5)
      assert.equal(lines[1]?.line, '+iso | the token is ***.')
      assert.equal(lines[2]?.line, '+iso | *** in colour')
      assert.match(lines[4]?.line ?? '', /x\*\*\*… \[\d+ characters left out\]$/)
      assert.doesNotMatch(JSON.stringify([lines, output.tail]), /canary/)
    }
  })

  it('masks a secret that goes on in the next line of the same target, with lines of others in between', () => {
    const output = new EarthlyOutput(new Redactor(['canary-0123456789-abcdefghij']))
    const lines = output.push(
      Buffer.from(
        '  +iso | one canary-0123\n +base | two\n  +iso | 456789-abcdefghij three\n +base | 456789-abcd\n',
      ),
    )
    assert.deepEqual(
      lines.map(({ line: text }) => text),
      ['+iso | one ***', '+base | two', '+iso | *** three', '+base | 456789-abcd'],
    )
  })
})
