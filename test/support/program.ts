/** A small program in a process of its own, which a test listens to line by line and ends as it likes. */

import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import type { TestContext } from 'node:test'

/** What a program begins with: the library under test. */
export const importAudit = `import { createAudit } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)}\n`

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class Program {
  /** What it has printed, in whole lines. */
  readonly lines: string[] = []
  readonly ended: Promise<Ended>
  readonly #child: ChildProcess
  readonly #news = new EventEmitter().setMaxListeners(0)
  #complaints = ''
  #hasEnded = false

  constructor(command: readonly string[]) {
    const [file = '', ...args] = command
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    const { stdin, stdout, stderr } = this.#child
    if (stdin === null || stdout === null || stderr === null) throw new Error('no pipes')
    stdin.on('error', () => {}) // it may end before it has read
    let unfinished = ''
    stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (unfinished + text).split('\n')
      unfinished = lines.pop() ?? ''
      this.lines.push(...lines)
      this.#news.emit('news')
    })
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints += text
    })
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      this.#hasEnded = true
      this.#news.emit('news')
      return { code, signal }
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** What it said on standard error. */
  get complaints(): string {
    return this.#complaints
  }

  /** The rest of the first line that begins with `start`, once it is there. Rejects when the program ends without it. */
  async line(start: string): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => line.startsWith(start))
      if (found !== undefined) return found.slice(start.length).trim()
      if (this.#hasEnded)
        throw new Error(`ended without a line "${start}": ${this.lines.join('\n')}${this.#complaints}`)
      await once(this.#news, 'news')
    }
  }

  /** What follows `start` in every line that begins with it. */
  all(start: string): string[] {
    return this.lines.filter((line) => line.startsWith(start)).map((line) => line.slice(start.length).trim())
  }

  /** Writes a line to its standard input. */
  say(text: string): void {
    this.#child.stdin?.write(`${text}\n`)
  }

  kill(signal: NodeJS.Signals): Promise<Ended> {
    this.#child.kill(signal)
    return this.ended
  }
}

/** Starts a program of JavaScript text, which is killed after the test if it still runs. */
export function startProgram(t: TestContext, body: string): Program {
  return startCommand(t, [process.execPath, '--input-type=module', '-e', `${importAudit}${body}`])
}

/** Starts a program in a file. */
export function startFile(t: TestContext, file: URL, ...args: string[]): Program {
  return startCommand(t, [process.execPath, file.pathname, ...args])
}

/** Starts any command. */
export function startCommand(t: TestContext, command: readonly string[]): Program {
  const program = new Program(command)
  t.after(() => program.kill('SIGKILL'))
  return program
}
