/** A copy of the checkout for examples to be run in as a user runs them, so that no other `dist` is touched or trusted. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const root = join(import.meta.dirname, '../..')
const copied = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'test', 'examples', 'collector-config']

export interface Ran {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export class Checkout implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'otel-audit-checkout-'))

  constructor() {
    chmodSync(this.path, 0o755) // PostgreSQL runs as another user when we are root
    for (const path of copied) cpSync(join(root, path), join(this.path, path), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(this.path, 'node_modules'))
  }

  /** Runs a command in it to its end, at most four minutes long. */
  async run(command: string, ...argv: string[]): Promise<Ran> {
    const child = spawn(command, argv, { cwd: this.path, stdio: ['ignore', 'pipe', 'pipe'], timeout: 240_000 })
    const closed = once(child, 'close')
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
    const [exitCode] = await closed
    return { exitCode: exitCode as number | null, stdout, stderr }
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}
