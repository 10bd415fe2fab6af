import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { openDocker } from '@edgesmith/engine/docker'

function settingsOf(host: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(openDocker({ host }).modem as object))
}

describe('openDocker', () => {
  it('takes a socket or an address', () => {
    assert.equal(settingsOf('unix:///run/user/1/docker.sock')['socketPath'], '/run/user/1/docker.sock')
    for (const host of ['tcp://docker.example.com:2375', 'http://docker.example.com:2375']) {
      const { protocol, host: name, port } = settingsOf(host)
      assert.deepEqual({ protocol, name, port }, { protocol: 'http', name: 'docker.example.com', port: 2375 })
    }
    assert.equal(settingsOf('https://docker.example.com')['port'], 2376)
  })

  it('refuses what is neither', () => {
    for (const host of [
      '',
      'docker.example.com',
      'npipe:////./pipe/docker',
      'unix://run/docker.sock',
      'ssh://host',
    ]) {
      assert.throws(() => openDocker({ host }), TypeError, host)
    }
  })
})

describe('A call to Docker', () => {
  it('is refused when Docker is lost though its answer has begun', async () => {
    const killed = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write(' ')
      setImmediate(() => response.destroy())
    })
    await once(killed.listen(0, '127.0.0.1'), 'listening')
    const { port } = killed.address() as AddressInfo
    const container = openDocker({ host: `tcp://127.0.0.1:${port}` }).getContainer('of-a-build')
    await assert.rejects(container.wait({ condition: 'not-running' }), { code: 'ECONNRESET' })
    killed.close()
  })

  it('is told what Docker answers, and why it refuses', async () => {
    const docker = createServer((request, response) => {
      const isKnown = request.url?.includes('known') === true
      response.writeHead(isKnown ? 200 : 404, { 'content-type': 'application/json' })
      response.end(JSON.stringify(isKnown ? { StatusCode: 3 } : { message: 'No such container' }))
    })
    await once(docker.listen(0, '127.0.0.1'), 'listening')
    const { port } = docker.address() as AddressInfo
    const opened = openDocker({ host: `tcp://127.0.0.1:${port}` })
    assert.deepEqual(await opened.getContainer('known').wait(), { StatusCode: 3 })
    await assert.rejects(opened.getContainer('other').wait(), {
      statusCode: 404,
      message: /No such container/,
    })
    docker.close()
  })
})
