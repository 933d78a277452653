import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Scrubber } from '../../src/spool/scrub.ts'
import { isUncached, uncachedFiles } from '../../src/spool/uncached.ts'
import { CraftedSpool, rot } from './crafted.ts'
import { freshDirectory } from './harness.ts'

const openFlagDirect = 0o40000

function reads(t: TestContext, directory: string): boolean {
  const bytes = randomBytes(700_001)
  const path = join(directory, 'file')
  writeFileSync(path, bytes)
  const file = uncachedFiles.open(path, 'read')
  t.after(() => uncachedFiles.close(file))
  const ranges = [
    [0, 1],
    [0, 4_096],
    [4_095, 2],
    [100, 700_000],
    [699_999, 50],
    [700_001, 10],
    [900_000, 10],
    ...Array.from({ length: 50 }, () => [randomInt(700_000), randomInt(400_000)]),
  ]
  for (const [from = 0, length = 0] of ranges) {
    const into = Buffer.alloc(length, 0xee)
    const count = uncachedFiles.read(file, into, from)
    const expected = bytes.subarray(from, from + length)
    assert.equal(count, expected.length, `${length} bytes from ${from}`)
    assert.deepEqual(into.subarray(0, count), expected, `${length} bytes from ${from}`)
  }
  if (process.platform === 'linux') {
    const flags = /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${file}`, 'utf8'))?.[1] ?? '0'
    assert.equal((Number.parseInt(flags, 8) & openFlagDirect) !== 0, isUncached(file))
  }
  return isUncached(file)
}

test('any range is read as it is, past the page cache where that is possible', (t) => {
  if (!reads(t, freshDirectory(t))) t.diagnostic('this file system reads through the cache only')
})

test('on a file system in memory, which may have no other way, it is read as well', (t) => {
  if (!existsSync('/dev/shm')) return t.skip('needs /dev/shm')
  const directory = mkdtempSync('/dev/shm/otel-audit-')
  t.after(() => rmSync(directory, { recursive: true }))
  reads(t, directory)
})

test('a scrub past the cache finds what it finds through it', (t) => {
  const spool = new CraftedSpool(freshDirectory(t))
  for (let segment = 1; segment <= 3; segment += 1) spool.add({ records: 60, recordBytes: 12_000 })
  rot(spool.directory, 2, 400_000)
  let nowMs = 0
  const scrubber = new Scrubber(uncachedFiles, spool.directory, {
    range: () => ({ first: 1, last: 3 }),
    segmentBytesMax: 2 ** 20,
    roundMs: 1_000,
    monotonicMs: () => nowMs,
  })
  const found: number[] = []
  while (nowMs < 3_000) {
    nowMs = scrubber.dueAtMs
    const finding = scrubber.step()
    if (finding !== undefined) found.push(finding.segment)
  }
  assert.deepEqual(found, [2])
})

test('a missing file is an error of the disk', (t) => {
  const path = join(freshDirectory(t), 'none')
  assert.throws(() => uncachedFiles.open(path, 'read'), { code: 'ENOENT' })
})
