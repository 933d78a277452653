/**
 * A server that tests start on loopback. What it says goes to a log in its folder; it is ready once it answers; it can
 * be stopped, killed, and started again on its address with what it held.
 */

import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { hasEnded, killOwned, startOwned, stopOwned } from './process.ts'

const pollMs = 20

export interface ServerProgram {
  /** For messages: what it is. */
  readonly name: string
  /** Its working folder, which holds its log. */
  readonly dir: string
  readonly log: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly readyMsMax: number
  readonly isReady: () => Promise<boolean>
}

export class OwnedServer {
  readonly #program: ServerProgram
  #child: ChildProcess | undefined

  constructor(program: ServerProgram) {
    this.#program = program
  }

  /** Resolves when it is ready; throws with the end of its log when it ends before, or takes too long. */
  async start(): Promise<void> {
    const { name, dir, command, args, env, readyMsMax, isReady } = this.#program
    const path = join(dir, this.#program.log)
    const log = openSync(path, 'a')
    const child = startOwned(command, args, { cwd: dir, env, stdio: ['ignore', log, log] })
    closeSync(log)
    this.#child = child
    const deadline = AbortSignal.timeout(readyMsMax)
    while (!(await isReady())) {
      if (deadline.aborted || hasEnded(child)) {
        await killOwned(child)
        throw new Error(`${name} did not start; the end of its log:\n${readFileSync(path, 'utf8').slice(-2_000)}`)
      }
      await delay(pollMs)
    }
  }

  /** Asks it to end, and resolves when it has. */
  async stop(): Promise<void> {
    if (this.#child !== undefined) await stopOwned(this.#child)
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    if (this.#child !== undefined) await killOwned(this.#child)
  }

  /** Of the process that was started last, 0 before. */
  get pid(): number {
    return this.#child?.pid ?? 0
  }
}

/** Whether a request gets an answer of success. */
export function answers(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(1_000) }).then(
    ({ ok }) => ok,
    () => false,
  )
}

/** Whether somebody takes TCP connections on a port of loopback. */
export async function listens(port: number): Promise<boolean> {
  const probe = connect(port, '127.0.0.1')
  const { promise, resolve } = Promise.withResolvers<boolean>()
  probe.once('connect', () => resolve(true)).once('error', () => resolve(false))
  const isOpen = await promise
  probe.destroy()
  return isOpen
}
