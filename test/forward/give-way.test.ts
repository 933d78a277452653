import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { getPriority, platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createAudit } from '../../src/index.ts'

const skip = platform() !== 'linux' && 'threads have a priority of their own on Linux only'

/** Of each thread of this process; field 19 of proc(5), counted behind the name. */
function priorities(): number[] {
  return readdirSync('/proc/self/task').map((thread) => {
    const [, fields = ''] = readFileSync(`/proc/self/task/${thread}/stat`, 'latin1').split(/\) (?=[^)]*$)/)
    return Number(fields.split(' ')[16])
  })
}

test('the delivery thread, and no other, stands below the application', { skip }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'otel-audit-way-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const audit = createAudit({
    service: 'test',
    spool: { directory: join(directory, 'spool') },
    destinations: [{ type: 'file', path: join(directory, 'audit.ndjson') }],
  })
  audit.emit({ action: 'way.give', actor: { type: 'user', id: 'u1' }, outcome: 'success' })
  let below: number[] = []
  for (let tries = 0; tries < 200 && below.length === 0; tries += 1) {
    await audit.flush() // a turn of the delivery thread
    below = priorities().filter((priority) => priority > getPriority())
  }
  await audit.close()
  assert.deepEqual(below, [Math.min(19, getPriority() + 5)])
})
