/** A program in a process of its own: started, waited for by what it says, signalled, and gone with its starter. */

import type { ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import { killOwned, startOwned } from '../../test/parts/process.ts'

export interface ChildOptions {
  /** The file to run, and what comes before it on Node's command line. */
  readonly program: string
  readonly nodeOptions?: readonly string[]
  /** What comes behind it. */
  readonly args?: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** A file for its standard error. */
  readonly log: string
}

export class ChildProgram implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  readonly #news = new EventEmitter()
  readonly #ended: Promise<number | null>
  readonly #program: string
  #hasEnded = false
  /** How many lines `said` has given out. */
  #heard = 0

  constructor({ program, nodeOptions = [], args = [], env, log }: ChildOptions) {
    const errors = openSync(log, 'a')
    this.#program = basename(program)
    this.#child = startOwned(process.execPath, [...nodeOptions, program, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', errors],
    })
    closeSync(errors)
    if (this.#child.stdout === null) throw new Error(`${this.#program} has no standard output`)
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#lines.push(line)
      this.#news.emit('news')
    })
    this.#ended = once(this.#child, 'close').then(([exitCode]) => {
      this.#hasEnded = true
      this.#news.emit('news')
      return exitCode as number | null
    })
  }

  /** Waits for the next line that begins so, and gives its rest. Rejects when the program ends without it. */
  async said(start: string): Promise<string> {
    for (;;) {
      const index = this.#lines.findIndex((line, at) => at >= this.#heard && line.startsWith(start))
      const line = this.#lines[index]
      this.#heard = line === undefined ? this.#lines.length : index + 1
      if (line !== undefined) return line.slice(start.length).trim()
      if (this.#hasEnded) throw new Error(`${this.#program} ended without saying ${start}; its log says why`)
      await once(this.#news, 'news')
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Sends a signal that ends it, and gives its exit code. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.signal(signal)
    return this.#ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await killOwned(this.#child)
  }
}
