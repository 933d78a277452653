/**
 * Processes that tests and the demo start: owned, stopped by their own id, and never left running. A normal exit of
 * this process ends them; where `setpriv` exists (Linux), so does a SIGKILL of it.
 */

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'

/** The one of util-linux: BusyBox has a lesser one elsewhere. */
const setpriv = '/usr/bin/setpriv'

/** Starts a process that does not outlive this one. */
export function startOwned(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  // The death signal follows the thread that forked: only the main thread lives as long as the process.
  const wrapped = existsSync(setpriv) ? [setpriv, '--pdeathsig', 'KILL', '--', command, ...args] : [command, ...args]
  const child = spawn(wrapped[0] ?? command, wrapped.slice(1), options)
  const endWithParent = () => child.kill('SIGKILL')
  process.once('exit', endWithParent)
  child.once('close', () => process.off('exit', endWithParent))
  return child
}

/** Asks a process to end and resolves when it has; after `graceMs` it is killed. */
export async function stopOwned(child: ChildProcess, graceMs = 5_000): Promise<void> {
  if (hasEnded(child)) return
  const ended = once(child, 'close')
  child.kill('SIGTERM')
  const impatience = setTimeout(() => child.kill('SIGKILL'), graceMs)
  await ended
  clearTimeout(impatience)
}

/** Kills a process at once (SIGKILL) and resolves when it is gone. */
export async function killOwned(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const ended = once(child, 'close')
  child.kill('SIGKILL')
  await ended
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** A loopback port that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  server.close()
  await once(server, 'close')
  return address.port
}
