import assert from 'node:assert/strict'
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
