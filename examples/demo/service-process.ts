/** The service as a process of its own, so that it can be killed: started, killed and started again, stopped. */

import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { killOwned, startOwned, stopOwned } from '../../test/parts/process.ts'

const program = join(import.meta.dirname, 'service.ts')
/** Its last act is delivery: as long as the service itself is ready to wait for that. */
const stopMsMax = 70_000

interface Running {
  readonly child: ChildProcess
  readonly url: string
}

export class ServiceProcess implements AsyncDisposable {
  readonly #env: NodeJS.ProcessEnv
  readonly #log: string
  #running: Promise<Running>

  constructor(options: { env: NodeJS.ProcessEnv; log: string }) {
    this.#env = { ...process.env, ...options.env }
    this.#log = options.log
    this.#running = this.#start()
  }

  /** Where it listens; waits while it starts. Rejects when it could not start. */
  async url(): Promise<string> {
    return (await this.#running).url
  }

  /** SIGKILL: no good-bye, nothing flushed. Then a new start on the same trail, for which `url` and `stop` wait. */
  killAndRestart(): void {
    this.#running = this.#running.then(({ child }) => killOwned(child)).then(() => this.#start())
    this.#running.catch(() => {}) // `url` and `stop` tell those who ask
  }

  /** Asks it to close its trail and end; resolves when it has. */
  async stop(): Promise<void> {
    const { child } = await this.#running
    await stopOwned(child, stopMsMax)
    if (child.exitCode !== 0)
      throw new Error(`the service ended with ${child.exitCode ?? child.signalCode}; see ${this.#log}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.then(
      ({ child }) => killOwned(child),
      () => {}, // it never ran
    )
  }

  async #start(): Promise<Running> {
    const log = openSync(this.#log, 'a')
    const child = startOwned(process.execPath, [program], { env: this.#env, stdio: ['ignore', 'pipe', log] })
    closeSync(log)
    if (child.stdout === null) throw new Error('the service has no standard output')
    for await (const url of createInterface({ input: child.stdout })) return { child, url }
    throw new Error(`the service did not start; see ${this.#log}`)
  }
}
