import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { Positions } from '../../src/spool/positions.ts'

const at = (offset: number, nextSequence: number, segment = 1) => ({ segment, offset, nextSequence })

test('without a barrier a frame follows the one before it', () => {
  const positions = new Positions()
  assert.equal(positions.beginAppend(at(4_136, 2)), 4_136)
  positions.endAppend(at(4_300, 3))
  assert.deepEqual(positions.written(), at(4_300, 3))
})

test('behind a sampled end the next frame starts at a sector boundary, once', () => {
  const positions = new Positions()
  positions.beginAppend(at(4_096, 1))
  positions.endAppend(at(4_200, 2))
  assert.deepEqual(positions.sampleEnd(), at(4_200, 2))
  assert.equal(positions.beginAppend(at(4_200, 2)), 4_608)
  positions.endAppend(at(4_700, 3))
  assert.equal(positions.beginAppend(at(4_700, 3)), 4_700)
  positions.endAppend(at(4_800, 4))
})

test('the first frame after recovery starts at a sector boundary: what recovery synced is never written into', () => {
  const positions = new Positions()
  positions.reset(at(4_200, 7))
  assert.equal(positions.beginAppend(at(4_200, 7)), 4_608)
  positions.endAppend(at(4_700, 8))
  assert.equal(positions.beginAppend(at(4_700, 8)), 4_700)
})

test('an end is sampled as it was when the barrier was honoured, not behind later appends', () => {
  const shared = new Positions()
  const application = new Positions(shared.memory)
  application.endAppend(at(5_000, 4))
  shared.sampleEnd() // raises the barrier; nothing is under way
  application.beginAppend(at(5_000, 4)) // honours it and notes 5,000
  application.endAppend(at(5_400, 5))
  application.beginAppend(at(5_400, 5))
  application.endAppend(at(5_600, 6))
  assert.deepEqual(shared.sampleEnd(), at(5_600, 6))
})

test('the durable end is read whole, with sequences beyond 2^31', () => {
  const positions = new Positions()
  positions.publishDurable(at(70_000, 2 ** 40 + 3, 9))
  assert.deepEqual(positions.durable(), at(70_000, 2 ** 40 + 3, 9))
  assert.deepEqual(positions.known(), at(70_000, 2 ** 40 + 3, 9))
})

test('with both threads at full speed no frame ever shares a sector with a sampled end before it', async () => {
  const positions = new Positions()
  const rounds = 300
  const sampler = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads')
     import(workerData.module).then(({ Positions }) => {
       const positions = new Positions(workerData.memory)
       const ends = []
       while (ends.length < workerData.rounds) {
         const end = positions.sampleEnd()
         if (end.nextSequence > (ends.at(-1)?.nextSequence ?? 1)) ends.push(end)
       }
       parentPort.postMessage(ends)
     })`,
    {
      eval: true,
      workerData: {
        memory: positions.memory,
        rounds,
        module: new URL('../../src/spool/positions.ts', import.meta.url).href,
      },
    },
  )
  let ends: { segment: number; offset: number; nextSequence: number }[] | undefined
  sampler.on('message', (message) => {
    ends = message
  })
  const starts: number[] = []
  const frameEnds = new Map<number, number>()
  let offset = 4_096
  let sequence = 1
  frameEnds.set(sequence, offset)
  while (ends === undefined) {
    for (let burst = 0; burst < 500; burst += 1) {
      const start = positions.beginAppend({ segment: 1, offset, nextSequence: sequence })
      starts.push(start)
      offset = start + 24 + (sequence % 50) * 8
      sequence += 1
      frameEnds.set(sequence, offset)
      positions.endAppend({ segment: 1, offset, nextSequence: sequence })
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(ends.length, rounds)
  let checked = 0
  for (const end of ends) {
    assert.equal(end.offset, frameEnds.get(end.nextSequence), 'a sampled end is the end of a frame')
    const next = starts[end.nextSequence - 1]
    if (next === undefined) continue
    checked += 1
    assert.ok(next >= Math.ceil(end.offset / 512) * 512, `frame at ${next} behind the sampled end ${end.offset}`)
  }
  assert.ok(checked > 0)
})

test('who waits for the durable end to move is told, without looking again and again', {
  timeout: 20_000,
}, async () => {
  const positions = new Positions()
  positions.reset({ segment: 1, offset: 4096, nextSequence: 5 })
  const reader = new Positions(positions.memory)
  let isTold = false
  const told = reader.moved(5, 600_000).then(() => {
    isTold = true
  })
  await new Promise(setImmediate)
  assert.equal(isTold, false)
  positions.publishDurable({ segment: 1, offset: 8192, nextSequence: 6 })
  await told
  await reader.moved(5, 60_000) // it has moved before
})
