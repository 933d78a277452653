import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { diskFiles } from '../../src/spool/files.ts'
import { Spool } from '../../src/spool/spool.ts'
import { Syncer } from '../../src/spool/syncer.ts'
import { freshDirectory, recordText, signer } from './harness.ts'

/** A spool whose sync thread runs when the test says so. */
function open(t: TestContext): { spool: Spool; syncer: Syncer; append: (name: string) => void } {
  const spool = Spool.open({ directory: freshDirectory(t), deployment: 'test' })
  const syncer = new Syncer(diskFiles, spool.syncerStart(), { signer, post: (message) => spool.receive(message) })
  spool.attach({ setReferenced: () => {} }, { checkpoint: () => {}, changed: () => {}, rotten: () => {} })
  t.after(async () => {
    spool.positions.requestStop()
    syncer.run()
    await spool.stop()
  })
  return { spool, syncer, append: (name) => void spool.append(recordText(name), {}) }
}

async function isSettled(promise: Promise<void>): Promise<boolean> {
  const turn = new Promise<false>((resolve) => setImmediate(resolve, false))
  return await Promise.race([promise.then(() => true), turn])
}

test('a record of a stream that has just begun is not called durable because the stream before was longer', async (t) => {
  const { spool, syncer, append } = open(t)
  for (const name of ['a', 'b', 'c']) append(name)
  syncer.cycle()
  const before = { stream: spool.stream, sequence: 3 }
  spool.startStream('clock')
  syncer.cycle()
  const stream = spool.enterStream()
  assert.ok(stream !== undefined)
  append('first of the new stream')
  const durable = spool.durable({ stream, sequence: 1 })
  assert.equal(spool.durableSequence, 0)
  assert.equal(await isSettled(durable), false)
  assert.equal(await isSettled(spool.durable(before)), true)
  syncer.cycle()
  assert.equal(spool.durableSequence, 1)
  assert.equal(await isSettled(durable), true)
})
