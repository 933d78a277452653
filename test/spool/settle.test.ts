import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { AuditError } from '../../src/errors.ts'
import { bootId, diskFiles } from '../../src/spool/files.ts'
import { lockSpool } from '../../src/spool/lock.ts'
import { openReader } from '../../src/spool/settle.ts'
import { closeDriven, freshDirectory, openDriven, readNames } from './harness.ts'

test('beside a live writer only what it has published is read', (t) => {
  const driven = openDriven(freshDirectory(t), { boot: bootId() })
  const lock = lockSpool(driven.directory)
  driven.append('a')
  driven.syncer.cycle()
  driven.append('b')
  assert.deepEqual(readNames(openReader(diskFiles, driven.directory)), ['a'])
  lock.release()
})

test('without a writer everything written is made durable and read, once', (t) => {
  const driven = openDriven(freshDirectory(t), { boot: bootId() })
  driven.append('a')
  driven.syncer.cycle()
  driven.append('b')
  assert.deepEqual(readNames(openReader(diskFiles, driven.directory)), ['a', 'b'])
  const files = readdirSync(driven.directory)
  assert.deepEqual(readNames(openReader(diskFiles, driven.directory)), ['a', 'b'])
  assert.deepEqual(readdirSync(driven.directory), files, 'a second reader finds nothing to recover')
  const next = openDriven(driven.directory, { boot: bootId() })
  next.append('c')
  next.syncer.cycle()
  assert.equal(next.recovered.state.stream, driven.recovered.state.stream)
  assert.deepEqual(next.durableNames(), ['a', 'b', 'c'])
})

test('a closed spool is read without touching it', (t) => {
  const driven = openDriven(freshDirectory(t), { boot: bootId() })
  driven.append('a')
  closeDriven(driven)
  const before = readdirSync(driven.directory)
  assert.deepEqual(readNames(openReader(diskFiles, driven.directory)), ['a', 'checkpoint'])
  assert.deepEqual(readdirSync(driven.directory), [...before, 'lock'].sort())
})

test('a directory without a spool is named', (t) => {
  const directory = freshDirectory(t)
  assert.throws(
    () => openReader(diskFiles, directory),
    (error) => error instanceof AuditError && error.code === 'SOURCE_UNREADABLE' && error.message.includes(directory),
  )
})
