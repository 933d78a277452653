/**
 * The workshop of one fault test: its folder, mounts, loop devices and processes. Always holds: when it is disposed
 * everything is gone again, in the opposite order, whatever the test did; processes are ended by the groups that were
 * started here, never by name.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SpawnOptions {
  /** Added to this process's; `undefined` takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

export class Lab implements AsyncDisposable {
  readonly folder: string
  readonly #undo: (() => unknown)[] = []
  #isClosed = false

  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), `otel-audit-${name}-`))
    this.#undo.push(() => rmSync(this.folder, { recursive: true, force: true }))
  }

  /** A path in the folder. */
  path(name: string): string {
    return join(this.folder, name)
  }

  /** What must be undone, last in, first out. */
  onDispose(undo: () => unknown): void {
    this.#undo.push(undo)
  }

  /** Starts a process in a group of its own; the whole group is killed at the end. */
  spawn(command: string, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    if (this.#isClosed) throw new Error('the test is over') // it went on after its time was up
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...options.env }
    const child = spawn(command, argv, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env })
    const closed = once(child, 'close')
    closed.catch(() => {}) // a command that does not exist: whoever reads its output is told
    this.#undo.push(async () => {
      killGroup(child)
      await closed.catch(() => {})
    })
    return child
  }

  /** Mounts at a new folder; unmounted at the end, also when a test has unmounted it before. */
  mount(name: string, argv: readonly string[]): string {
    const at = this.path(name)
    mkdirSync(at, { recursive: true })
    command('mount', ...argv, at)
    this.#undo.push(() => unmount(at))
    return at
  }

  /** A tmpfs of so many bytes. */
  tmpfs(name: string, bytes: number): string {
    return this.mount(name, ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'tmpfs'])
  }

  /** A loop device over a file. */
  loop(file: string): string {
    const device = command('losetup', '--find', '--show', file)
    this.#undo.push(() => spawnSync('losetup', ['--detach', device], { env: sbinEnvironment() }))
    return device
  }

  /** An empty file of so many bytes, with a file system made in it. */
  image(path: string, bytes: number, make: readonly string[]): string {
    writeFileSync(path, '')
    truncateSync(path, bytes)
    command(...(make as [string, ...string[]]), path)
    return path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) await undo() // in this order
  }
}

/** SIGKILL to a process and all that it started. */
export function killGroup(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // gone already
  }
}

export function unmount(at: string): void {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const run = spawnSync('umount', [at], { encoding: 'utf8', env: sbinEnvironment() })
    if (run.status === 0 || !/busy/.test(run.stderr)) return
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100) // a killed process is still letting go
  }
  spawnSync('umount', ['--lazy', at], { env: sbinEnvironment() })
}

/** Runs a command to its end; what it printed. Throws with its complaint when it fails. */
export function command(name: string, ...argv: readonly string[]): string {
  const run = spawnSync(name, argv, { encoding: 'utf8', env: sbinEnvironment() })
  if (run.status === 0) return run.stdout.trim()
  throw new Error(`${name} ${argv.join(' ')}: ${run.error?.message ?? run.stderr.trim()}`)
}

function sbinEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
}
