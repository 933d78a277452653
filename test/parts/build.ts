/** The steps of building a part: a command with its progress passed on, and its last words when it fails. */

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { startOwned } from './process.ts'

const heartbeatMs = 15_000
const lastLinesMax = 15

/** A toolchain that a part needs is not installed. The message names it and what is skipped without it. */
export class MissingToolError extends Error {
  override readonly name = 'MissingToolError'
  readonly tool: string

  constructor(tool: string, skipped: string, options: ErrorOptions) {
    super(`${tool} is not installed; skipped: ${skipped}`, options)
    this.tool = tool
  }
}

/** Throws MissingToolError unless the tool runs with these arguments. `skipped` says what is not tested without it. */
export function requireTool(tool: string, args: readonly string[], skipped: string): void {
  try {
    execFileSync(tool, args, { stdio: 'ignore' })
  } catch (thrown) {
    throw new MissingToolError(tool, skipped, { cause: thrown })
  }
}

export interface StepOptions {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  readonly onProgress: (line: string) => void
}

/** Runs one command to its end. Says every 15 s that it still runs; throws with its last lines when it fails. */
export async function runStep(command: string, args: readonly string[], options: StepOptions): Promise<void> {
  const startedMs = performance.now()
  const elapsed = () => `${Math.round((performance.now() - startedMs) / 1_000)} s`
  const child = startOwned(command, args, { cwd: options.cwd, env: options.env, stdio: ['ignore', 'pipe', 'pipe'] })
  const heartbeat = setInterval(() => options.onProgress(`still at it after ${elapsed()}`), heartbeatMs)
  try {
    const lastLines = collectLines(child.stdout, child.stderr)
    const [code, signal]: unknown[] = await once(child, 'close')
    if (code !== 0) throw new Error(`${command} ended with ${code ?? signal}:\n${lastLines.join('\n')}`)
    options.onProgress(`done in ${elapsed()}`)
  } finally {
    clearInterval(heartbeat)
  }
}

function collectLines(...outputs: readonly (NodeJS.ReadableStream | null)[]): readonly string[] {
  const lines: string[] = []
  for (const output of outputs) {
    if (output === null) continue
    createInterface({ input: output }).on('line', (line) => {
      lines.push(line)
      if (lines.length > lastLinesMax) lines.shift()
    })
  }
  return lines
}
