/**
 * A backlog of many segments: what a start and a reader cost must not grow with it. The short form counts what is
 * read; `AUDIT_TEST_BACKLOG_GB=10 npm test -- spool/scale` writes so much, measures, and prints what it measured.
 */

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { segmentBytesMax } from '../../src/limits.ts'
import { diskFiles, type Files } from '../../src/spool/files.ts'
import { SpoolReader } from '../../src/spool/reader.ts'
import { CraftedSpool } from './crafted.ts'
import { freshDirectory, openDriven } from './harness.ts'

const gigabytes = Number(process.env.AUDIT_TEST_BACKLOG_GB ?? 0)
const recordBytes = 40_000
const most = { records: 500, bytes: 2 ** 20 }

/** The disk, with an account of what was asked of it. */
function counted() {
  const count = { bytesRead: 0, open: 0, openMost: 0 }
  const opened = (file: number): number => {
    count.open += 1
    count.openMost = Math.max(count.openMost, count.open)
    return file
  }
  const files: Files = {
    ...diskFiles,
    open: (path, how) => opened(diskFiles.open(path, how)),
    openDirectory: (path) => opened(diskFiles.openDirectory(path)),
    close(file) {
      count.open -= 1
      diskFiles.close(file)
    },
    read(file, into, position) {
      const bytes = diskFiles.read(file, into, position)
      count.bytesRead += bytes
      return bytes
    },
  }
  return { count, files }
}

function craft(t: TestContext, segments: number, bytesOfSegment: number): CraftedSpool {
  const spool = new CraftedSpool(freshDirectory(t))
  const records = Math.floor(bytesOfSegment / (recordBytes + 400))
  for (let segment = 0; segment < segments; segment += 1) spool.add({ records, recordBytes })
  spool.settle()
  return spool
}

/** Opens as a process does, with its first read; what that took. */
function openAll(directory: string, segmentBytes: number) {
  const { count, files } = counted()
  const began = performance.now()
  const driven = openDriven(directory, { files, recoveryFiles: files, segmentBytesMax: segmentBytes })
  const openedMs = performance.now() - began
  const limit = () => driven.positions.durable()
  const reader = new SpoolReader(files, directory, limit)
  const [first] = reader.next({ records: 1, bytes: 1 })
  const firstMs = performance.now() - began
  assert.equal(first?.sequence, 1)
  return { driven, reader, count, openedMs, firstMs }
}

/** Reads to the end; how many records came, each the next of the one before. */
function drain(reader: SpoolReader, from: number, sample: () => void): number {
  let expected = from
  for (;;) {
    const records = reader.next(most)
    if (records.length === 0) return expected
    for (const { sequence } of records) {
      assert.equal(sequence, expected)
      expected += 1
    }
    sample()
  }
}

test('what a start reads grows by headers alone, and a reader reads everything once', (t) => {
  const bytesOfSegment = 2 ** 20
  const [few, many] = [8, 160].map((segments) => {
    const { directory } = craft(t, segments, bytesOfSegment)
    const { driven, reader, count } = openAll(directory, bytesOfSegment)
    const atStart = { ...count }
    const last = drain(reader, 2, () => {})
    assert.equal(last, driven.positions.durable().nextSequence)
    reader.close()
    return { atStart, openMost: count.openMost, drained: count.bytesRead - atStart.bytesRead }
  })
  assert.ok(few !== undefined && many !== undefined)
  const perSegment = (many.atStart.bytesRead - few.atStart.bytesRead) / (160 - 8)
  assert.ok(perSegment < 8 * 4_160, `${perSegment} bytes read at start for each further segment`)
  assert.ok(few.atStart.bytesRead < 3 * bytesOfSegment, `${few.atStart.bytesRead} bytes read at start`)
  assert.ok(many.drained < 1.1 * 160 * bytesOfSegment, `${many.drained} bytes read to drain ${160 * bytesOfSegment}`)
  assert.equal(many.openMost, few.openMost, 'open descriptors do not grow with the backlog')
})

const skip = gigabytes > 0 ? false : 'set AUDIT_TEST_BACKLOG_GB=10'

test('a backlog of gigabytes opens within a second and drains in order in bounded memory', { skip }, (t) => {
  const segments = Math.ceil((gigabytes * 2 ** 30) / segmentBytesMax)
  const { directory } = craft(t, segments, segmentBytesMax)
  const rssBefore = process.memoryUsage.rss()
  const { driven, reader, openedMs, firstMs } = openAll(directory, segmentBytesMax)
  const descriptors = readdirSync('/proc/self/fd').length
  let rssMost = 0
  const began = performance.now()
  const next = drain(reader, 2, () => {
    rssMost = Math.max(rssMost, process.memoryUsage.rss())
  })
  const drainedMs = performance.now() - began
  assert.equal(next, driven.positions.durable().nextSequence)
  const growth = (rssMost - rssBefore) / 2 ** 20
  t.diagnostic(
    `${segments} segments, ${next - 1} records; open ${Math.round(openedMs)} ms, first ${Math.round(firstMs)} ms`,
  )
  t.diagnostic(
    `drained in ${Math.round(drainedMs)} ms; RSS grew by ${Math.round(growth)} MiB; ${descriptors} descriptors`,
  )
  assert.ok(firstMs < 1_000, `${firstMs} ms until the first record`)
  assert.ok(growth < 256, `RSS grew by ${growth} MiB`)
  reader.close()
})
