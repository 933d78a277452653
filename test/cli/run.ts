/** Runs `otel-audit` from its sources: as a user would, in a process of its own, or here, where that is what takes long. */

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { commands } from '../../src/cli/commands.ts'
import { AuditError } from '../../src/errors.ts'

export const mainFile = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface Ended {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export async function runCli(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = spawn(process.execPath, [mainFile, ...argv], {
    env: { ...process.env, OTEL_AUDIT_DEBUG: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const written = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    written.stderr += text
  })
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve)
  })
  return { exitCode, ...written }
}

/** A command in this process, which spares the start of one; what `main.ts` makes of an error is its own test's. */
export async function runCommand(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const written = { stdout: '', stderr: '' }
  const into = (name: 'stdout' | 'stderr') => ({ write: (text: string) => (written[name] += text) })
  try {
    const { command, words } = await findCommand(argv)
    const io = { stdout: into('stdout'), stderr: into('stderr'), env: { ...process.env, ...env } }
    const exitCode = await command.run(words, io)
    return { exitCode, ...written }
  } catch (thrown) {
    if (!(thrown instanceof AuditError)) throw thrown
    return { exitCode: 2, stdout: written.stdout, stderr: `${written.stderr}${thrown.message} ${thrown.hint}` }
  }
}

async function findCommand([first, ...rest]: readonly string[]) {
  const { command } = (await commands.find(({ name }) => name === first)?.load()) ?? {}
  if (command === undefined) throw new Error(`no command ${first}`)
  if (!('commands' in command)) return { command, words: rest }
  const own = command.commands.find(({ name }) => name === `${first} ${rest[0]}`)
  if (own === undefined) throw new Error(`no command ${first} ${rest[0]}`)
  return { command: own, words: rest.slice(1) }
}
