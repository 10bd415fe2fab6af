/**
 * Boots an installer ISO in QEMU, from CD or from a USB stick, with BIOS or UEFI
 * firmware, and reads what the fixture's init tells on the serial console.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { failed, finished, markedLines, parseReport, type BootReport } from './report.ts'

export type Medium = 'cd' | 'usb'
export type Firmware = 'bios' | 'uefi'
export type Accelerator = 'kvm' | 'tcg'

export interface BootOptions {
  /** Path of the ISO. It is only read. */
  iso: string
  medium: Medium
  firmware: Firmware
  /** Default: three minutes. */
  timeoutMs?: number
  /**
   * Default: $EDGESMITH_BOOT_ACCELERATOR, or emulation. KVM has to be asked for: a nested
   * /dev/kvm may make a guest and then fail on the firmware's first unusual instruction.
   */
  accelerator?: Accelerator
  memoryMiB?: number
}

export interface BootResult {
  /** The marked lines, without the mark. */
  lines: string[]
  report: BootReport
  console: string
  accelerator: Accelerator
  durationMs: number
}

const QEMU = 'qemu-system-x86_64'
const CONSOLE_TAIL = 4000
const CONSOLE_LIMIT = 4 * 1024 * 1024
const FIRMWARE: [code: string, vars: string][] = [
  ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  ['/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'],
]

/** Why no ISO can be booted here, or undefined when one can. */
export function bootUnavailable(): string | undefined {
  if (spawnSync(QEMU, ['--version'], { stdio: 'ignore' }).status !== 0) {
    return `${QEMU} is not installed (Debian: apt-get install qemu-system-x86 ovmf)`
  }
  if (ovmf() === undefined) return 'no OVMF firmware is installed (Debian: apt-get install ovmf)'
  return undefined
}

/** Boots and resolves once the fixture says it is done; rejects, with the console's tail, on anything else. */
export async function bootIso(options: BootOptions): Promise<BootResult> {
  const { iso, medium, firmware, timeoutMs = 180_000, memoryMiB = 512 } = options
  const accelerator =
    options.accelerator ?? (process.env['EDGESMITH_BOOT_ACCELERATOR'] === 'kvm' ? 'kvm' : 'tcg')
  const scratch = await mkdtemp(join(tmpdir(), 'edgesmith-boot-'))
  try {
    const args = [
      ...['-machine', 'q35', '-accel', accelerator === 'kvm' ? 'kvm' : 'tcg,thread=multi'],
      ...['-cpu', accelerator === 'kvm' ? 'host' : 'max', '-m', String(memoryMiB), '-smp', '1'],
      ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-vga', 'std'],
      ...['-serial', 'stdio', '-monitor', 'none', '-net', 'none'],
      ...['-drive', `if=none,id=live,format=raw,readonly=on,file=${iso.replaceAll(',', ',,')}`],
      ...(medium === 'cd'
        ? ['-device', 'ide-cd,drive=live,bootindex=0']
        : ['-device', 'qemu-xhci', '-device', 'usb-storage,drive=live,bootindex=0']),
    ]
    if (firmware === 'uefi') {
      const found = ovmf()
      if (found === undefined) throw new Error('no OVMF firmware is installed')
      const [code, vars] = found
      const ownVars = join(scratch, 'vars.fd')
      await copyFile(vars, ownVars)
      args.push('-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${code}`)
      args.push('-drive', `if=pflash,unit=1,format=raw,file=${ownVars}`)
    }
    const started = performance.now()
    const text = await run(args, timeoutMs)
    const lines = markedLines(text)
    return {
      lines,
      report: parseReport(lines),
      console: text,
      accelerator,
      durationMs: Math.round(performance.now() - started),
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** Runs QEMU until the report is complete; its console's text. */
function run(args: string[], timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const qemu = spawn(QEMU, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    let outcome: string | undefined
    const end = (reason: string): void => {
      outcome ??= reason
      qemu.kill('SIGKILL')
    }
    const timer = setTimeout(() => {
      end(`no report within ${timeoutMs} ms`)
    }, timeoutMs)
    const read = (chunk: string): void => {
      text += chunk
      if (finished(text)) end('done')
      else if (failed(text)) end('the live system failed')
      else if (text.includes('Kernel panic')) end('the kernel panicked')
      else if (text.length > CONSOLE_LIMIT) end('the console printed without end')
    }
    qemu.stdout.setEncoding('utf8').on('data', read)
    qemu.stderr.setEncoding('utf8').on('data', read)
    qemu.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    qemu.on('close', (code) => {
      clearTimeout(timer)
      if (outcome === 'done') resolve(text)
      else
        reject(
          new Error(`boot failed: ${outcome ?? `QEMU ended with ${code}`}\n${text.slice(-CONSOLE_TAIL)}`),
        )
    })
  })
}

function ovmf(): [code: string, vars: string] | undefined {
  return FIRMWARE.find(([code, vars]) => existsSync(code) && existsSync(vars))
}
