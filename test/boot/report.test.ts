import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failed, finished, markedLines, parseReport } from './report.ts'

const console = [
  '\u001b[H  Booting `Fixture installer\r\r\n',
  '\u001b[0mcanvos-fixture: medium=usb firmware=uefi device=/dev/sda1 label=COS_LIVE\r\n',
  'canvos-fixture: squashfs ok size=1118208 pe-version=v4.10.0\r\n',
  'canvos-fixture: mode=install\r\n',
  'canvos-fixture: user-data site=edge-1 sha256=aa size=51\r\n',
  'canvos-fixture: content core.zst_part00 sha256=bb size=3\r\n',
  'canvos-fixture: content core.zst_part01 sha256=cc size=1\r\n',
  'canvos-fixture: content parts=2\r\n',
  'canvos-fixture: cluster-definition absent\r\n',
  'canvos-fixture: edge-custom-config sha256=dd size=12\r\n',
  'canvos-fixture: local-ui files=7\r\n',
]

test('reads what the live system found', () => {
  assert.deepEqual(parseReport(markedLines(console.join(''))), {
    medium: 'usb',
    firmware: 'uefi',
    device: '/dev/sda1',
    mode: 'install',
    squashfs: { size: 1118208, peVersion: 'v4.10.0' },
    userData: { site: 'edge-1', sha256: 'aa', size: 51 },
    content: [
      { name: 'core.zst_part00', sha256: 'bb', size: 3 },
      { name: 'core.zst_part01', sha256: 'cc', size: 1 },
    ],
    clusterDefinition: undefined,
    edgeCustomConfig: { sha256: 'dd', size: 12 },
    localUiFiles: 7,
  })
})

test('tells a finished, a failed and a running live system apart', () => {
  const text = console.join('')
  assert.deepEqual([finished(text), failed(text)], [false, false])
  assert.equal(finished(`${text}canvos-fixture: done\r\n`), true)
  assert.equal(failed(`${text}canvos-fixture: error no medium with the label COS_LIVE\r\n`), true)
})
