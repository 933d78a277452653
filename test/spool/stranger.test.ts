/**
 * A reader of another make: test/vectors/spool/read.py, written from docs/formats.md alone. It must read what our
 * code writes, and refuse what our code refuses.
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { diskFiles } from '../../src/spool/files.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { root } from '../docs/markdown.ts'
import { closeDriven, freshDirectory, names, openDriven } from './harness.ts'

const folder = join(root, 'test/vectors/spool')
const found = spawnSync('python3', ['--version'], { encoding: 'utf8' })
const skip = found.status === 0 ? false : 'needs python3'

function readByStranger(directory: string, ...options: readonly string[]) {
  const program = join(folder, 'read.py')
  const run = spawnSync('python3', [program, ...options, directory], { encoding: 'utf8', maxBuffer: 2 ** 26 })
  return { status: run.status, records: run.stdout.split('\n').slice(0, -1), says: run.stderr }
}

function assertReadsTheSame(directory: string): string[] {
  const view = viewSpool(diskFiles, directory)
  const seen = [...view.records()].map(({ bytes, durable }) => ({ text: bytes.toString(), durable }))
  const durable = seen.filter((one) => one.durable).map((one) => one.text)
  assert.deepEqual(readByStranger(directory), { status: 0, records: durable, says: '' })
  assert.deepEqual(
    readByStranger(directory, '--all').records,
    seen.map((one) => one.text),
  )
  return seen.map((one) => one.text)
}

describe('a reader written from the document', { skip }, () => {
  for (const name of readdirSync(join(folder, 'spools'))) {
    it(`agrees about ${name}`, () => {
      const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'))[name]
      const text = readFileSync(join(folder, 'expected', `${name}.ndjson`), 'utf8')
      const refusal = expected.refusal ?? expected.reader
      const { status, records, says } = readByStranger(join(folder, 'spools', name))
      assert.deepEqual(records, text.split('\n').slice(0, expected.readable ?? 0))
      assert.equal(status, refusal === undefined ? 0 : 2, says)
      assert.ok(says.startsWith(refusal?.error ?? ''), says)
    })
  }

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
})

/** 200 records in many segments, a sync after every five. */
function rollOften(t: TestContext) {
  const driven = openDriven(freshDirectory(t), { segmentBytesMax: 12_288 })
  for (let round = 0; round < 40; round += 1) {
    driven.append(...names(round * 5, round * 5 + 5))
    driven.syncer.cycle()
  }
  return driven
}
