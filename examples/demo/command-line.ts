/** `otel-audit` as a user runs it: the compiled program of the package, in a process of its own. */

import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { startOwned } from '../../test/parts/process.ts'

/** Where it lies. */
export const otelAuditProgram = fileURLToPath(new URL('./cli/main.js', import.meta.resolve('otel-audit')))

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv
  /** Exit codes that are an outcome and no failure. */
  readonly exitCodes?: readonly number[]
}

/** Runs a command and gives its standard output. Throws what it said on any other exit code than 0. */
export async function otelAudit(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { env, exitCodes = [0] } = options
  if (!existsSync(otelAuditProgram)) throw new Error('the package is not built yet; `npm run demo` builds it first')
  const child = startOwned(process.execPath, [otelAuditProgram, ...argv], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (child.stdout === null || child.stderr === null) throw new Error('otel-audit has no output')
  const ended = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [exitCode] = (await ended) as [number | null]
  if (exitCode !== null && exitCodes.includes(exitCode)) return stdout
  throw new Error(`otel-audit ${argv.slice(0, 2).join(' ')} ended with ${exitCode}: ${stderr || stdout}`)
}
