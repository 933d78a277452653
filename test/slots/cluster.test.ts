/** `node:cluster`: primary and workers on one directory. */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { diskFiles } from '../../src/spool/files.ts'
import { spoolDirectories } from '../../src/spool/instances.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { freshFolder } from '../audit/opened.ts'
import { startFile } from '../support/program.ts'

test('a cluster shares a directory: primary and workers have a slot each, and a new worker takes that of a dead one', async (t) => {
  const parent = join(freshFolder(t), 'spools')
  const program = startFile(t, new URL('./cluster.ts', import.meta.url), parent)
  await program.line('workers ended')
  assert.equal((await program.ended).code, 0, program.complaints)
  assert.deepEqual(program.all('primary'), ['slot-0001'])
  const slots = program.all('worker ')
  assert.deepEqual(slots.slice(0, 3).toSorted(), ['slot-0002', 'slot-0003', 'slot-0004'])
  assert.ok(slots.slice(0, 3).includes(slots[3] ?? ''), 'the place of the one that was killed')
  assert.deepEqual(
    spoolDirectories(diskFiles, parent).map((slot) => viewSpool(diskFiles, slot).state.clean),
    [true, true, true, true],
  )
  const files = readdirSync(parent).filter((name) => name.endsWith('.ndjson'))
  const delivered = files.flatMap((name) => readFileSync(join(parent, name), 'utf8').trimEnd().split('\n'))
  const events = delivered.filter((line) => line.includes('"event_type":"audit"'))
  assert.equal(events.length, 500)
  assert.equal(new Set(events).size, 500)
})
