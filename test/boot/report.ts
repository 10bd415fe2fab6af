/** What the fixture's live system tells on the serial console: a marked line for each thing it found. */

export interface FileReport {
  sha256: string
  size: number
}

export interface BootReport {
  medium: 'cdrom' | 'usb' | 'disk' | undefined
  firmware: 'bios' | 'uefi' | undefined
  /** The block device the live file system was mounted from, say `/dev/sda1`. */
  device: string | undefined
  mode: 'install' | 'interactive' | undefined
  squashfs: { size: number; peVersion: string } | undefined
  userData: (FileReport & { site: string }) | undefined
  content: (FileReport & { name: string })[]
  clusterDefinition: FileReport | undefined
  edgeCustomConfig: FileReport | undefined
  localUiFiles: number
}

const MARK = 'canvos-fixture: '

/** The marked lines of a console's text, without their mark. */
export function markedLines(text: string): string[] {
  return text.split(/\r*\n/).flatMap((line) => {
    const at = line.indexOf(MARK)
    return at < 0 ? [] : [line.slice(at + MARK.length).trim()]
  })
}

export function finished(text: string): boolean {
  return text.includes(`${MARK}done`)
}

export function failed(text: string): boolean {
  return new RegExp(`${MARK}error [^\\n]*\\n`).test(text)
}

export function parseReport(lines: string[]): BootReport {
  const values = (subject: string): Map<string, string> | undefined => {
    const line = lines.find((candidate) => candidate.startsWith(subject))
    return line === undefined ? undefined : parseValues(line)
  }
  const start = values('medium=')
  const squashfs = values('squashfs ok')
  const userData = values('user-data site=')
  return {
    medium: start?.get('medium') as BootReport['medium'],
    firmware: start?.get('firmware') as BootReport['firmware'],
    device: start?.get('device'),
    mode: values('mode=')?.get('mode') as BootReport['mode'],
    squashfs: squashfs && {
      size: Number(squashfs.get('size')),
      peVersion: squashfs.get('pe-version') ?? '',
    },
    userData: userData && { site: userData.get('site') ?? '', ...parseFile(userData) },
    content: lines.flatMap((line) => {
      const name = /^content (\S+) sha256=/.exec(line)?.[1]
      return name === undefined ? [] : [{ name, ...parseFile(parseValues(line)) }]
    }),
    clusterDefinition: parseFile(values('cluster-definition sha256=')),
    edgeCustomConfig: parseFile(values('edge-custom-config sha256=')),
    localUiFiles: Number(values('local-ui files=')?.get('files') ?? 0),
  }
}

function parseValues(line: string): Map<string, string> {
  return new Map([...line.matchAll(/(\S+?)=(\S*)/g)].map(([, key = '', value = '']) => [key, value]))
}

function parseFile(values: Map<string, string>): FileReport
function parseFile(values: Map<string, string> | undefined): FileReport | undefined
function parseFile(values: Map<string, string> | undefined): FileReport | undefined {
  return values && { sha256: values.get('sha256') ?? '', size: Number(values.get('size')) }
}
