import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { stateDirectory } from '../../deploy/setup/paths.ts'
import { FaultRunner, type Outcome } from './fault-runner.ts'
import type { Fault } from './faults.ts'

/** Where logs of runs that did not hold are kept, and why they did not, each in a directory named by its seed. */
const logDirectory = join(stateDirectory, 'faults')

/** Runs builds under faults on one ground, and on a new one after a run that did not hold: what it left is its own. */
export class RenewedRunner implements AsyncDisposable {
  #runner: FaultRunner | undefined

  /** @throws Error when the run did not hold; the logs of its services are kept */
  async run(fault: Fault, seed: number): Promise<Outcome> {
    this.#runner ??= await FaultRunner.open()
    try {
      return await this.#runner.run(fault, seed)
    } catch (error) {
      const directory = join(logDirectory, String(seed))
      await this.#runner.copyLogs(directory)
      await writeFile(join(directory, 'error.txt'), inspect(error, { depth: 5 }))
      await this[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const runner = this.#runner
    this.#runner = undefined
    await runner?.[Symbol.asyncDispose]()
  }
}
