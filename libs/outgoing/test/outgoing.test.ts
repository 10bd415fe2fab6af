import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, describe, it } from 'node:test'
import { parseAllowance, type Allowance } from '../src/address-policy.ts'
import { Outgoing, RefusedDestination, type OutgoingOptions } from '../src/outgoing.ts'

describe('Outgoing', () => {
  const stack = new AsyncDisposableStack()
  let requests: IncomingMessage[]
  let answer: RequestListener
  let port: number
  let otherPort: number

  const listen = async () => {
    const server = createServer((request, response) => {
      requests.push(request)
      answer(request, response)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    stack.defer(() => {
      server.closeAllConnections()
      server.close()
    })
    return (server.address() as AddressInfo).port
  }
  before(async () => {
    port = await listen()
    otherPort = await listen()
  })
  after(() => stack.disposeAsync())
  beforeEach(() => {
    requests = []
    answer = (_request, response) => response.end('hello')
  })

  function open(allowed: string[], options: Partial<OutgoingOptions> = {}): Outgoing {
    const allowances = allowed.map((text) => parseAllowance(text) as Allowance)
    return stack.use(new Outgoing({ allowances, ...options }))
  }
  const own = () => [`127.0.0.1:${port}`]
  const redirectTo =
    (location: string, status = 302): RequestListener =>
    (request, response) => {
      if (request.url === '/') response.writeHead(status, { location }).end()
      else response.end('there')
    }

  it('calls what is permitted', async () => {
    const response = await open(own()).fetch(`http://127.0.0.1:${port}/`)
    assert.deepEqual([response.status, await response.text()], [200, 'hello'])
  })

  it('refuses loopback, metadata and private addresses, written as numbers and names', async () => {
    const { fetch } = open([])
    const hosts = [
      '127.0.0.1',
      'localhost',
      '[::1]',
      '169.254.169.254',
      '2130706433',
      '0x7f.1',
      '[::ffff:7f00:1]',
    ]
    for (const host of hosts) await assert.rejects(fetch(`http://${host}:${port}/`), RefusedDestination, host)
    assert.equal(requests.length, 0)
  })

  it('refuses other schemes, and credentials in the URL', async () => {
    const { fetch } = open(own())
    for (const url of [
      'file:///etc/passwd',
      'ftp://127.0.0.1/',
      'gopher://x/',
      `http://u:p@127.0.0.1:${port}/`,
    ])
      await assert.rejects(fetch(url), RefusedDestination, url)
    assert.equal(requests.length, 0)
  })

  it('connects to the address that was judged, though the name is another host the next time', async () => {
    const answers = ['127.0.0.1', '127.0.0.2']
    const resolve = () => Promise.resolve([{ address: answers.shift() ?? '127.0.0.3', family: 4 }])
    const { fetch } = open(own(), { resolve })
    const first = await fetch(`http://rebinding.example:${port}/`, { headers: { connection: 'close' } })
    assert.equal(await first.text(), 'hello')
    await assert.rejects(fetch(`http://rebinding.example:${port}/`), RefusedDestination)
    assert.equal(requests.length, 1)
  })

  it('leaves out those addresses of a name that are not permitted', async () => {
    const resolve = () =>
      Promise.resolve([
        { address: '169.254.169.254', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ])
    assert.equal((await open(own(), { resolve }).fetch(`http://both.example:${port}/`)).status, 200)
  })

  it('judges each redirect', async () => {
    for (const location of [
      `http://127.0.0.1:${otherPort}/x`,
      'http://169.254.169.254/latest',
      'file:///etc/passwd',
    ]) {
      answer = redirectTo(location)
      await assert.rejects(open(own()).fetch(`http://127.0.0.1:${port}/`), RefusedDestination, location)
    }
    assert.equal(requests.length, 3)
    answer = redirectTo('/x')
    assert.equal(await (await open(own()).fetch(`http://127.0.0.1:${port}/`)).text(), 'there')
  })

  it('tells other origins no credentials, and sends a body on by 307 and 308 alone', async () => {
    const { fetch } = open([...own(), `127.0.0.1:${otherPort}`])
    const call = {
      method: 'POST',
      body: 'x',
      headers: { authorization: 'Bearer secret', 'content-type': 'text/x' },
    }
    answer = redirectTo(`http://127.0.0.1:${otherPort}/x`)
    await fetch(`http://127.0.0.1:${port}/`, call)
    const [first, second] = requests
    assert.equal(first?.headers.authorization, 'Bearer secret')
    assert.deepEqual([second?.method, second?.headers.authorization], ['GET', undefined])
    answer = redirectTo('/x', 307)
    await fetch(`http://127.0.0.1:${port}/`, call)
    const last = requests.at(-1)
    assert.deepEqual([last?.method, last?.headers.authorization], ['POST', 'Bearer secret'])
  })

  it('ends redirects that go round', async () => {
    answer = (_request, response) => response.writeHead(302, { location: '/' }).end()
    await assert.rejects(open(own()).fetch(`http://127.0.0.1:${port}/`), RefusedDestination)
    assert.equal(requests.length, 6)
  })

  it('ends answers that are too large or too slow', async () => {
    answer = (_request, response) => response.end(Buffer.alloc(2000))
    const response = await open(own(), { maxBodyBytes: 1000 }).fetch(`http://127.0.0.1:${port}/`)
    await assert.rejects(response.arrayBuffer())
    answer = () => undefined
    await assert.rejects(open(own(), { timeoutMs: 100 }).fetch(`http://127.0.0.1:${port}/`))
  })
})
