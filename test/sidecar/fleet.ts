/** An application and its sidecar as processes, on one folder that is removed after the test. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditOptions } from '../../src/index.ts'
import { mainFile } from '../cli/run.ts'
import { type Program, startCommand, startFile } from '../support/program.ts'

const applicationFile = new URL('./application.ts', import.meta.url)

export interface RecordJson {
  readonly id: string
  readonly stream: string
  readonly seq: number
  readonly event_type: string
  readonly action: string
  readonly details?: Readonly<Record<string, unknown>>
}

export class Fleet {
  readonly folder: string
  readonly spool: string
  readonly options: AuditOptions
  readonly #t: TestContext
  readonly #config: string
  readonly #programs: Program[] = []

  /** The application and the sidecar share these options, but for the spool's directory, which is the folder's. */
  constructor(t: TestContext, options: (folder: string) => AuditOptions) {
    this.#t = t
    this.folder = mkdtempSync(join(tmpdir(), 'otel-audit-sidecar-'))
    t.after(async () => {
      await Promise.all(this.#programs.map((program) => program.kill('SIGKILL'))) // or they go on writing there
      rmSync(this.folder, { recursive: true, force: true })
    })
    this.spool = join(this.folder, 'spool')
    const given = options(this.folder)
    this.options = { delivery: 'external', ...given, spool: { ...given.spool, directory: this.spool } }
    this.#config = join(this.folder, 'audit.json')
    const { handleSignals: _, ...shared } = this.options
    writeFileSync(this.#config, JSON.stringify(shared))
  }

  application(changes: AuditOptions = {}, ...more: string[]): Program {
    return this.#keep(startFile(this.#t, applicationFile, JSON.stringify({ ...this.options, ...changes }), ...more))
  }

  sidecar(...more: string[]): Program {
    return this.sidecarWith({}, ...more)
  }

  /** With other options than the application's. */
  sidecarWith(changes: AuditOptions, ...more: string[]): Program {
    let config = this.#config
    if (Object.keys(changes).length > 0) {
      config = join(this.folder, 'sidecar.json')
      writeFileSync(config, JSON.stringify({ ...this.options, ...changes }))
    }
    const command = [process.execPath, mainFile, 'forward', '--spool', this.spool, '--config', config, '--json']
    return this.#keep(startCommand(this.#t, [...command, ...more]))
  }

  #keep(program: Program): Program {
    this.#programs.push(program)
    return program
  }

  /** Delivers what is left, and ends. */
  async drain(): Promise<void> {
    const sidecar = this.sidecar('--once')
    const { code } = await sidecar.ended
    if (code !== 0) throw new Error(`--once ended with ${code}: ${sidecar.lines.join('\n')}${sidecar.complaints}`)
  }
}

/** What a sidecar has printed of one kind. */
export function eventsOf<Event extends string>(program: Program, event: Event) {
  const lines = program.lines.map((line) => JSON.parse(line) as { event: string } & Record<string, unknown>)
  return lines.filter((line) => line.event === event)
}

export function delivering(sidecar: Program): Promise<string> {
  return sidecar.line('{"event":"delivering"')
}

/** The records of an NDJSON file. */
export function recordsOf(path: string): RecordJson[] {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as RecordJson)
}

/** Waits for what nobody announces. */
export async function until(isReached: () => boolean, what: string, msMax = 20_000): Promise<void> {
  for (let waitedMs = 0; !isReached(); waitedMs += 20) {
    if (waitedMs > msMax) throw new Error(`not reached within ${msMax} ms: ${what}`)
    await sleep(20)
  }
}
