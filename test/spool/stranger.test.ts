/**
 * A reader of another make: test/vectors/spool/read.py, written from docs/formats.md alone. It must read what our
 * code writes, and refuse what our code refuses.
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { useClocks } from '../../src/clock.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { Handover } from '../../src/spool/handover.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { root } from '../docs/markdown.ts'
import { closeDriven, freshDirectory, names, openDriven } from './harness.ts'

interface Refusal {
  readonly error: string
}

type Expectations = Record<string, { readable?: number; refusal?: Refusal; reader?: Refusal }>

const folder = join(root, 'test/vectors/spool')
const found = spawnSync('python3', ['--version'], { encoding: 'utf8' })
const skip = found.status === 0 ? false : 'needs python3'

interface Reading {
  readonly records: readonly string[]
  /** What it says instead of reading on. */
  readonly says: string
}

const program = `
import json, sys
sys.path.insert(0, sys.argv[1])
import read
def reading(directory, everything):
    records = []
    try:
        for record in read.read(directory, everything):
            records.append(record.decode())
        return {"records": records, "says": ""}
    except read.Refusal as refusal:
        return {"records": records, "says": str(refusal)}
print(json.dumps([reading(directory, sys.argv[2] == "--all") for directory in sys.argv[3:]]))
`

/** One process for all of them: starting it takes longer than reading. */
function readByStranger(directories: readonly string[], how: '--all' | '--durable' = '--durable'): Reading[] {
  const options = { encoding: 'utf8', maxBuffer: 2 ** 26 } as const
  const run = spawnSync('python3', ['-B', '-c', program, folder, how, ...directories], options)
  assert.equal(run.status, 0, run.stderr)
  return JSON.parse(run.stdout)
}

function nameOf(record: string): string {
  return JSON.parse(record).name
}

function assertReadsTheSame(directory: string): string[] {
  const view = viewSpool(diskFiles, directory)
  const seen = [...view.records()].map(({ bytes, durable }) => ({ text: bytes.toString(), durable }))
  const durable = seen.filter((one) => one.durable).map((one) => one.text)
  const all = seen.map((one) => one.text)
  assert.deepEqual(readByStranger([directory]), [{ records: durable, says: '' }])
  assert.deepEqual(readByStranger([directory], '--all'), [{ records: all, says: '' }])
  return all
}

describe('a reader written from the document', { skip }, () => {
  it('agrees about the frozen spools', () => {
    const expected = Object.entries(JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Expectations)
    const readings = readByStranger(expected.map(([name]) => join(folder, 'spools', name)))
    for (const [index, [name, { readable = 0, refusal, reader }]] of expected.entries()) {
      const text = readFileSync(join(folder, 'expected', `${name}.ndjson`), 'utf8')
      assert.deepEqual(readings[index]?.records, text.split('\n').slice(0, readable), name)
      assert.equal(readings[index]?.says.split(' ')[0], (refusal ?? reader)?.error ?? '', name)
    }
  })

  it('ends with a code and a line that scripts can use', () => {
    const run = (name: string) => spawnSync('python3', [join(folder, 'read.py'), join(folder, 'spools', name)])
    assert.equal(run('one-segment').status, 0)
    const refused = run('version-in-segment')
    assert.equal(refused.status, 2)
    assert.match(refused.stderr.toString(), /^SPOOL_VERSION .*format version 2\n$/)
  })

  it('reads a spool that was closed', (t) => {
    const driven = openDriven(freshDirectory(t))
    driven.append(...names(0, 20))
    driven.syncer.cycle()
    closeDriven(driven)
    assert.equal(assertReadsTheSame(driven.directory).length, 21)
  })

  it('reads across rolls, with a tail that is not durable', (t) => {
    const driven = rollOften(t)
    driven.append('not', 'durable')
    assert.equal(assertReadsTheSame(driven.directory).length, 202)
    assert.ok(driven.writer.end.segment > 3, 'the test rolls')
  })

  it('reads what recovery made of it, in the same stream and in a new one', (t) => {
    const driven = rollOften(t)
    driven.append('not', 'durable')
    const again = openDriven(driven.directory)
    again.append(...names(200, 230))
    again.syncer.cycle()
    assert.equal(assertReadsTheSame(driven.directory).length, 232)
    const rebooted = openDriven(driven.directory, { boot: 'boot-2', segmentBytesMax: 12_288 })
    for (let round = 0; round < 20; round += 1) {
      rebooted.append(...names(0, 5))
      rebooted.syncer.cycle()
    }
    assert.equal(assertReadsTheSame(driven.directory).length, 332)
  })

  it('reads around what a failed sync has condemned, at every moment of the failover', (t) => {
    let nowMs = 0
    t.after(useClocks({ monotonicMs: () => nowMs }))
    const disk = sickDisk()
    const driven = openDriven(freshDirectory(t), { files: disk.files })
    driven.append(...names(0, 3))
    driven.syncer.cycle()
    driven.append(...names(3, 6))
    disk.isSick = true
    driven.syncer.cycle()
    driven.append(...names(6, 9))
    assert.equal(assertReadsTheSame(driven.directory).length, 9)
    disk.isSick = false
    for (let round = 0; round < 5; round += 1) {
      nowMs += 1_000
      driven.syncer.cycle()
      assertReadsTheSame(driven.directory)
      driven.writer.takeRescue()
      assertReadsTheSame(driven.directory)
    }
    assert.equal(driven.positions.durable().nextSequence, 10, 'the test heals')
    assert.deepEqual(assertReadsTheSame(driven.directory).map(nameOf), names(0, 9))
  })

  it('reads a stream that began while the writer ran', (t) => {
    const driven = openDriven(freshDirectory(t))
    driven.append(...names(0, 3))
    driven.syncer.cycle()
    new Handover(driven.positions.memory).wantStream('clock')
    driven.syncer.cycle()
    assert.ok(driven.writer.enterStream() !== undefined, 'the test changes streams')
    driven.append(...names(3, 5))
    assert.equal(assertReadsTheSame(driven.directory).length, 5)
    driven.syncer.cycle()
    assert.deepEqual(assertReadsTheSame(driven.directory).map(nameOf), names(0, 5))
  })
})

/** A disk whose syncs fail while it is sick. */
function sickDisk() {
  const disk = { isSick: false, files: diskFiles }
  disk.files = {
    ...diskFiles,
    sync(file) {
      if (disk.isSick) throw Object.assign(new Error('EIO: injected'), { code: 'EIO' })
      diskFiles.sync(file)
    },
  }
  return disk
}

/** 200 records in many segments, a sync after every five. */
function rollOften(t: TestContext) {
  const driven = openDriven(freshDirectory(t), { segmentBytesMax: 12_288 })
  for (let round = 0; round < 40; round += 1) {
    driven.append(...names(round * 5, round * 5 + 5))
    driven.syncer.cycle()
  }
  return driven
}
