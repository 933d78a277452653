import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openCheckpoint } from '../../src/chain/checkpoint.ts'
import { leafHash } from '../../src/chain/hash.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import { parseVerifierKey } from '../../src/chain/note.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { type Driven, freshDirectory, names, openDriven, signer } from './harness.ts'

const checkpointsOf = (driven: Driven) => driven.messages.filter((message) => message.kind === 'checkpoint')

test('a checkpoint is signed at every 256th record, however many become durable at once', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append(...names(0, 1_000))
  driven.syncer.cycle()
  assert.deepEqual(
    checkpointsOf(driven).map((one) => one.size),
    [256, 512, 768],
  )
})

test('each checkpoint is the signed root of the records that are on disk', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append(...names(0, 300))
  driven.syncer.cycle()
  const [checkpoint] = checkpointsOf(driven)
  const verifier = parseVerifierKey(signer.verifierKey)
  assert.ok(checkpoint !== undefined && !('problem' in verifier))
  const opened = openCheckpoint(checkpoint.details, `test/${driven.recovered.state.stream}`, [verifier])
  assert.equal(opened.problem, undefined)
  const frontier = new Frontier()
  for (const record of viewSpool(diskFiles, driven.directory).records()) {
    if (record.sequence <= 256) frontier.append(leafHash(record.bytes))
  }
  assert.deepEqual('root' in opened && Buffer.from(opened.root), frontier.root())
})

test('while nobody seals them, checkpoints do not pile up; once sealed, the next covers everything since', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append(...names(0, 4_000))
  driven.syncer.cycle()
  assert.equal(checkpointsOf(driven).at(-1)?.size, 8 * 256)
  for (let sealed = 0; sealed < 8; sealed += 1) driven.positions.acknowledgeCheckpoint()
  driven.append('one more')
  driven.syncer.cycle()
  assert.equal(checkpointsOf(driven).at(-1)?.size, 4_001)
})

test('a checkpoint record alone asks for no further checkpoint', (t) => {
  const driven = openDriven(freshDirectory(t))
  driven.append('a')
  driven.positions.requestFinish()
  driven.syncer.cycle()
  assert.equal(checkpointsOf(driven).length, 1)
  driven.writer.append('{"name":"checkpoint"}', { flags: 1 })
  driven.positions.acknowledgeCheckpoint()
  driven.syncer.cycle()
  assert.equal(checkpointsOf(driven).length, 1)
  assert.equal(driven.messages.filter((message) => message.kind === 'covered').length, 1)
})

test('nothing is credited before it is synced, and nothing is signed before it is credited', (t) => {
  const calls: string[] = []
  const files = {
    ...diskFiles,
    sync: (file: number) => {
      calls.push(`sync ${driven.positions.durable().nextSequence}`)
      diskFiles.sync(file)
    },
  }
  const driven = openDriven(freshDirectory(t), { files })
  driven.append(...names(0, 256))
  driven.syncer.cycle()
  assert.equal(calls.at(-1), 'sync 1', 'the last sync found nothing credited yet')
  assert.equal(driven.positions.durable().nextSequence, 257)
})
