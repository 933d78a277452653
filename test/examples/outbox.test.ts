/** The example program as a user runs it. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { databaseFor } from '../support/postgres.ts'

test('examples/outbox: what was committed is recorded, what was rolled back is not, and the journal verifies', async (t) => {
  const url = await databaseFor(t)
  const program = fileURLToPath(new URL('../../examples/outbox/main.ts', import.meta.url))
  const child = spawn(process.execPath, [program, url], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  const [printed, complained]: [string[], string[]] = [[], []]
  child.stdout.setEncoding('utf8').on('data', (text: string) => printed.push(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => complained.push(text))
  const code = await new Promise((resolve) => child.once('close', resolve))
  assert.equal(code, 0, complained.join(''))
  const stdout = printed.join('')
  const lines = stdout.split('\n')
  assert.deepEqual(lines.slice(0, 5), [
    'rolled back: session s-2 and its event',
    'session.create s-1',
    'session.create s-3',
    'session.end s-1',
    'session.end s-3',
  ])
  assert.match(stdout, /INTACT/)
})
