import assert from 'node:assert/strict'
import { cpSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { dropDestination } from '../../src/spool/destination-names.ts'
import { bootId, diskFiles, machineId } from '../../src/spool/files.ts'
import { hasMoved, placeOf } from '../../src/spool/guard.ts'
import { inspectSpool, recoverSpool } from '../../src/spool/recover.ts'
import { openReader } from '../../src/spool/settle.ts'
import { stateOf } from './damage.ts'
import { copyOf, freshDirectory, openDriven, readNames } from './harness.ts'
import { closed } from './left-behind.ts'

const place = { directory: '1:2', control: '1:3', born: '17', machine: 'one' }

test('a spool has moved when anything that is known of both places differs', () => {
  const rows: readonly (readonly [Partial<typeof place>, boolean])[] = [
    [{}, false],
    [{ directory: '1:9' }, true],
    [{ control: '1:9' }, true],
    [{ born: '18' }, true],
    [{ machine: 'two' }, true],
    [{ born: '', machine: '' }, false],
  ]
  for (const [found, expected] of rows) {
    assert.equal(hasMoved(place, { ...place, ...found }), expected, JSON.stringify(found))
    assert.equal(hasMoved({ ...place, ...found }, place), expected, 'and the other way round')
  }
  assert.equal(hasMoved(undefined, place), false, 'a spool that never had a place')
})

test('control knows the place under its temporary name already', (t) => {
  const { directory, recovered } = openDriven(freshDirectory(t))
  const control = join(directory, 'control')
  assert.deepEqual(recovered.state.place, placeOf(diskFiles, { directory, control, machine: machineId() }))
})

test('another machine id starts a new stream, an unknown one does not', (t) => {
  const directory = freshDirectory(t)
  closed(directory, ['a'])
  const reasonOn = (machine: string) =>
    inspectSpool(diskFiles, { directory, deployment: 'test', bootId: 'boot-1', machineId: machine })?.reason
  assert.equal(reasonOn('another'), machineId() === '' ? undefined : 'copied')
  assert.equal(reasonOn(''), undefined)
})

test('a directory that was only renamed is no copy', (t) => {
  const directory = freshDirectory(t)
  closed(directory, ['a'])
  renameSync(directory, `${directory}-renamed`)
  renameSync(`${directory}-renamed`, directory)
  assert.equal(openDriven(directory).recovered.predecessor, undefined)
})

test('a copy that only its records were read from is still a copy', (t) => {
  const source = freshDirectory(t)
  closed(source, ['a'])
  const directory = copyOf(t, source)
  readNames(openReader(diskFiles, directory))
  assert.equal(openDriven(directory).recovered.predecessor?.reason, 'copied')
})

test('original and copy go on in streams of their own', (t) => {
  const source = freshDirectory(t)
  closed(source, ['a'])
  const copy = copyOf(t, source)
  const [original, forked] = [openDriven(source), openDriven(copy)]
  assert.equal(original.recovered.predecessor, undefined)
  assert.notEqual(original.recovered.state.stream, forked.recovered.state.stream)
  assert.equal(openDriven(copy).recovered.predecessor?.reason, 'copied', 'until a record says so')
})

test('dropping a destination from a copy leaves it a copy, and from the original no copy', (t) => {
  const source = freshDirectory(t)
  const start = { directory: source, deployment: 'test', bootId: bootId(), destinations: ['otlp', 'file'] }
  diskFiles.close(recoverSpool(diskFiles, start).segment.file)
  const directory = copyOf(t, source)
  const drop = { name: 'otlp', why: 'gone', operator: 'alice' }
  for (const one of [source, directory]) {
    assert.equal(dropDestination(diskFiles, one, drop).kind, 'dropped')
    assert.deepEqual(stateOf(one).destinations, ['file'])
    assert.deepEqual(dropDestination(diskFiles, one, drop), { kind: 'unknown', names: ['file'] })
  }
  const reasonIn = (one: string) => inspectSpool(diskFiles, { ...start, directory: one })?.reason
  assert.deepEqual([reasonIn(source), reasonIn(directory)], [undefined, 'copied'])
  const { facts, state } = recoverSpool(diskFiles, { ...start, destinations: [] })
  assert.deepEqual(facts, [{ type: 'audit.destination.dropped', details: { ...drop } }])
  assert.deepEqual(state.destinations, ['file'])
})

test('a control file that was put back in its own place is told by when it was made, if by nothing else', (t) => {
  const directory = freshDirectory(t)
  closed(directory, ['a'])
  const control = join(directory, 'control')
  const [bytes, before] = [readFileSync(control), diskFiles.identity(control)]
  unlinkSync(control)
  writeFileSync(control, bytes)
  t.diagnostic(diskFiles.identity(control) === before ? 'its inode was given out again' : 'it got another inode')
  assert.equal(openDriven(directory).recovered.predecessor?.reason, 'copied')
})

test('a copy made while the writer lives is one', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append('a')
  driven.syncer.cycle()
  const copy = `${driven.directory}-live`
  cpSync(driven.directory, copy, { recursive: true })
  renameSync(driven.directory, `${driven.directory}-old`)
  renameSync(copy, driven.directory)
  assert.equal(openDriven(driven.directory).recovered.predecessor?.reason, 'copied')
  renameSync(`${driven.directory}-old`, join(driven.directory, 'old'))
})
