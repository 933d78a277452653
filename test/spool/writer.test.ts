import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { segmentName } from '../../src/spool/format.ts'
import { freshDirectory, openDriven, recordText } from './harness.ts'

test('behind the last frame the file goes on with zeros, more of them as it grows, and never behind the limit', (t) => {
  const segmentBytesMax = 100_000
  const { directory, writer } = openDriven(freshDirectory(t), { segmentBytesMax })
  const ahead: number[] = []
  while (writer.end.offset < segmentBytesMax - 2_000) {
    writer.append(recordText('r', 900), { flags: 0 })
    const behind = readFileSync(join(directory, segmentName(1))).subarray(writer.end.offset)
    assert.equal(
      behind.findIndex((byte) => byte !== 0),
      -1,
    )
    ahead.push(behind.length)
  }
  assert.equal(Math.max(...ahead) > 16 * 1024, true)
  assert.equal(writer.end.offset + (ahead.at(-1) ?? 0), segmentBytesMax)
})
