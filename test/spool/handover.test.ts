import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Handover } from '../../src/spool/handover.ts'
import { Positions } from '../../src/spool/positions.ts'

function twoSides(): [application: Handover, sync: Handover] {
  const { memory } = new Positions()
  return [new Handover(memory), new Handover(memory)]
}

const spare = { segment: 2, file: 33, salt: 0xfedcba98, stream: undefined }

test('a spare is taken once', () => {
  const [application, sync] = twoSides()
  assert.equal(application.takeSpare(), undefined)
  sync.offerSpare(spare)
  assert.equal(sync.isSpareOffered, true)
  assert.deepEqual(application.takeSpare(), spare)
  assert.equal(application.takeSpare(), undefined)
})

test('a spare is either taken or withdrawn, never both', () => {
  const [application, sync] = twoSides()
  sync.offerSpare(spare)
  assert.equal(sync.withdrawSpare(), true)
  assert.equal(application.takeSpare(), undefined)
  sync.offerSpare(spare)
  application.takeSpare()
  assert.equal(sync.withdrawSpare(), false)
})

test('a spare of another stream is taken only by who wants a stream', () => {
  const [application, sync] = twoSides()
  const stream = '5e884898-da28-4715-a1d0-fb6b9c2f0e11'
  sync.offerSpare({ ...spare, stream })
  assert.equal(application.takeSpare(), undefined)
  assert.equal(application.takeSpare(true)?.stream, stream)
})

test('a rescue is given with all that its first frame needs, sequences beyond 2^31 too', () => {
  const [application, sync] = twoSides()
  const rescue = { segment: 9, file: 12, salt: 0xdeadbeef, crc: 0xffffffff, nextSequence: 2 ** 40 + 7 }
  assert.equal(application.rescue(), undefined)
  sync.offerRescue(rescue)
  assert.deepEqual(application.rescue(), rescue)
  application.declineRescue(9, true)
  assert.equal(application.rescue(), undefined)
  assert.equal(sync.declined(9), 'space')
  assert.equal(sync.declined(10), undefined)
})

test('news that came before the wait end it at once', () => {
  const [application, sync] = twoSides()
  const seen = application.news
  sync.setUsedBytes(8_192, 3)
  application.awaitNews(seen, 60_000)
  assert.equal(application.usedBytes, 8_192)
  assert.equal(application.countedBelow, 3)
})
