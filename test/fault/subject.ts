/**
 * The writer (`writer.ts`) as a child process, bare or below another command (strace, unshare, a shell with limits):
 * what it had said by the time it ended, and its end.
 */

import type { ChildProcess } from 'node:child_process'
import type { Lab, SpawnOptions } from './lab.ts'
import { killGroup } from './lab.ts'
import type { WriterOrder } from './writer.ts'

const writer = new URL('./writer.ts', import.meta.url).pathname

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface StartOptions extends SpawnOptions {
  /** Put in front of the writer's own command. */
  readonly below?: readonly string[]
}

/** What a record was acknowledged as. */
export interface Acknowledged {
  readonly id: string
  readonly sequence: number
}

export class Subject {
  readonly #child: ChildProcess
  readonly ended: Promise<Ended>
  readonly written: Acknowledged[] = []
  readonly durable: Acknowledged[] = []
  readonly rejected: string[] = []
  /** Reasons of the receipts that said `emergency`. */
  readonly emergencies: string[] = []
  readonly states: string[] = []
  opened: { pid: number; stream: string; openMs: number } | undefined
  figures: { loopDelayMaxMs: number; rssMaxBytes: number; emitMaxMs: number } | undefined
  closedMs: number | undefined
  /** How often it said that it lives, after its last event. */
  alive = 0
  /** What the product said on standard error; refused events are there too, and left out. */
  readonly notices: string[] = []
  #complaints = ''
  #rest = ''
  #waiting: { isMet: (subject: Subject) => boolean; resolve: () => void }[] = []

  constructor(lab: Lab, order: WriterOrder, options: StartOptions = {}) {
    const [first, ...others] = [...(options.below ?? []), process.execPath, writer, JSON.stringify(order)]
    this.#child = lab.spawn(first ?? process.execPath, others, options)
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#hear(text))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      const lines = `${this.#complaints}${text}`.split('\n')
      this.#complaints = lines.pop() ?? ''
      this.notices.push(...lines.filter((line) => !line.startsWith('{')))
      this.#settle(false)
    })
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code, signal) => resolve({ code, signal }))
    })
    this.ended.then(
      () => this.#settle(true),
      () => this.#settle(true),
    )
  }

  /** The end of what it said on standard error, for the message of a failed test. */
  get complaints(): string {
    return this.notices.slice(-20).join('\n')
  }

  /** Resolves as soon as it holds, or when the process has ended. */
  async until(isMet: (subject: Subject) => boolean): Promise<void> {
    if (isMet(this) || this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push({ isMet, resolve })
    await promise
  }

  /** SIGKILL to it and what it runs below. */
  kill(): Promise<Ended> {
    killGroup(this.#child)
    return this.ended
  }

  signal(signal: NodeJS.Signals): void {
    killGroup(this.#child, signal)
  }

  #settle(hasEnded: boolean): void {
    const met = this.#waiting.filter(({ isMet }) => hasEnded || isMet(this))
    this.#waiting = this.#waiting.filter((one) => !met.includes(one))
    for (const { resolve } of met) resolve()
  }

  /** A last line without its end was cut off by the end of the process, and is not counted. */
  #hear(text: string): void {
    const lines = `${this.#rest}${text}`.split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#take(line)
    this.#settle(false)
  }

  #take(line: string): void {
    const [kind, id = '', sequence] = line.split(' ')
    const words = line.slice((kind ?? '').length + 1)
    if (kind === 'written') this.written.push({ id, sequence: Number(sequence) })
    else if (kind === 'durable') this.durable.push({ id, sequence: Number(sequence) })
    else if (kind === 'rejected') this.rejected.push(id)
    else if (kind === 'emergency') this.emergencies.push(words)
    else if (kind === 'state') this.states.push(id)
    else if (kind === 'opened') this.opened = JSON.parse(words) as NonNullable<Subject['opened']>
    else if (kind === 'figures') this.figures = JSON.parse(words) as NonNullable<Subject['figures']>
    else if (kind === 'closed') this.closedMs = Number(id)
    else if (kind === 'alive') this.alive += 1
  }
}
