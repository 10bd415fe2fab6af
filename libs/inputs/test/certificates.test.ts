import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { before, describe, it } from 'node:test'
import { checkInputs } from '../src/check-inputs.ts'
import { openBench, run } from './fixtures.ts'

const dayMs = 24 * 60 * 60 * 1000
const selfSign =
  'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 100 -subj "/O=Acme/CN=$1" -keyout key.pem -out cert.pem 2>/dev/null'
const make = (name: string) => run('sh', ['-c', `${selfSign} && cat cert.pem`, 'sh', name])

describe('a certificate', () => {
  let one: string
  let two: string
  let key: string
  before(async () => {
    one = String(await make('proxy.example.com'))
    two = String(await make('registry.example.com'))
    key = String(await run('sh', ['-c', `${selfSign} && cat key.pem`, 'sh', 'a']))
  })

  async function check(bytes: Buffer | string, days = 0) {
    await using bench = await openBench()
    const input = await bench.put('cert', Buffer.from(bytes), 'ca.pem')
    const { validFromDate } = new X509Certificate(one)
    const now = new Date(validFromDate.getTime() + 60_000 + days * dayMs)
    return (await checkInputs(bench.store, [input], now)).diagnostics
  }
  const told = async (...parameters: Parameters<typeof check>) =>
    (await check(...parameters)).map(({ severity, code, line }) => `${severity} ${code} ${line ?? ''}`.trim())

  it('is taken, alone and with others, whatever stands around it', async () => {
    assert.deepEqual(await told(one), [])
    assert.deepEqual(await told(`Proxy\n${one}\nRegistry\n${two.replaceAll('\n', '\r\n')}`), [])
  })

  it('that expires is told in time', async () => {
    assert.deepEqual(await told(one, 69), [])
    assert.deepEqual(await told(one, 71), ['warning cert.expires-soon 1'])
    assert.deepEqual(await told(one, 101), ['error cert.expired 1'])
    assert.deepEqual(await told(one, -1), ['warning cert.not-yet-valid 1'])
  })

  it('is named with its place among several', async () => {
    const [first, second] = await check(`${one}${two}`, 101)
    assert.match(
      first?.message ?? '',
      /^Certificate 1 of 2, "O=Acme, CN=proxy\.example\.com", expired on \d{4}-/,
    )
    assert.match(second?.message ?? '', /^Certificate 2 of 2, "O=Acme, CN=registry\.example\.com", expired/)
    assert.equal(second?.line, one.split('\n').length)
  })

  it('with anything wrong is refused', async () => {
    const broken = one.replace(/.{40}\n-----END/, '\n-----END')
    assert.deepEqual(await told(`${one}${broken}`), [`error cert.unreadable ${one.split('\n').length}`])
    assert.deepEqual(await told(`${one}${key}`), ['error cert.private-key'])
    assert.deepEqual(await told('no certificate'), ['error cert.not-pem'])
    assert.deepEqual(await told(one.slice(0, 300)), ['error cert.not-pem'])
    assert.deepEqual(await told(Buffer.alloc(3_000_000, 'x')), ['error input.too-large'])
  })

  it('in DER form is refused with what to do', async () => {
    const [found] = await check(new X509Certificate(one).raw)
    assert.equal(found?.code, 'cert.not-pem')
    assert.match(found.message, /openssl x509 -inform der/)
  })
})
