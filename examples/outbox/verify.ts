/** What an auditor does: `otel-audit verify postgres://… --vkey KEY`. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** Prints the report; whether the journal verifies. */
export async function verifyJournal(url: string, verifierKey: string): Promise<boolean> {
  const child = spawn(process.execPath, [program, 'verify', url, '--vkey', verifierKey], { stdio: 'inherit' })
  const [code] = (await once(child, 'close')) as [number | null]
  return code === 0
}
