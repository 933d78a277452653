/** The search for what a spool may still hold: no file and no boundary hides a value, and no record is taken for one. */

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { searchSpool } from '../../src/cli/erase-spool.ts'
import { AuditError } from '../../src/errors.ts'
import { Disclosures, discloseValue, encodeDisclosures } from '../../src/event/commit.ts'

const [ann, bob] = ['pseudonym:ann-of-a-longer-name', 'pseudonym:bob']

function attachment(...subjects: string[]): string {
  const disclosures = new Disclosures()
  for (const subject of subjects) disclosures.add({ subject, text: discloseValue('/a', subject) })
  return encodeDisclosures(disclosures)
}

test('finds values in segments, slots and what was set aside, also across what is read at once', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-search-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const folders = ['', '1', 'quarantine/torn'].map((name) => join(directory, name))
  for (const folder of folders) mkdirSync(folder, { recursive: true })
  const [own = '', slot = '', torn = ''] = folders.map((folder) => join(folder, 'seg-0000000001.wal'))
  const boundary = 4 * 2 ** 20
  const places = [1, 10, 25, 40].flatMap((before) => [[before, ann, bob] as const, [before, bob, ann] as const])
  for (const [before, first, second] of places) {
    writeFileSync(
      own,
      `${'.'.repeat(boundary - before)}${attachment(first)}..${attachment(second)}..${attachment(ann)}`,
    )
    writeFileSync(slot, `{"actor":{"id":"${ann}"},"reason":"\\\\"${ann}\\\\":[\\\\""}${attachment(bob)}`)
    writeFileSync(torn, attachment(ann))
    const files = [
      { file: slot, disclosures: 1 },
      { file: torn, disclosures: 1 },
      { file: own, disclosures: 3 },
    ]
    const both = searchSpool(directory, [ann, bob])
    assert.deepEqual([both.isClear, [...both.files].sort((a, b) => a.disclosures - b.disclosures)], [false, files])
    assert.deepEqual(
      searchSpool(directory, [ann])
        .files.map(({ disclosures }) => disclosures)
        .sort(),
      [1, 2],
      `${before} bytes before the end of what is read at once`,
    )
  }
  assert.deepEqual(searchSpool(directory, ['pseudonym:nobody']), { directory, isClear: true, files: [] })
  const missing = (thrown: unknown) => thrown instanceof AuditError && thrown.code === 'SOURCE_UNREADABLE'
  assert.throws(() => searchSpool(join(directory, 'none'), [ann]), missing)
})
