import assert from 'node:assert/strict'
import { it } from 'node:test'
import { parse, v7, validate, version } from 'uuid'
import { newRecordId } from '../../src/event/record-id.ts'

it('record ids are version 7 and increase within the process, whatever the clock does', () => {
  const start = 1_790_000_000_000
  let last = newRecordId(start)
  const seen = new Set<string>()
  for (let index = 0; index < 20_000; index++) {
    const id = newRecordId(start + (index % 5 === 0 ? index >> 8 : -index))
    assert.ok(validate(id) && version(id) === 7, id)
    assert.ok(id > last, `${id} after ${last}`)
    seen.add(id)
    last = id
  }
  assert.equal(seen.size, 20_000)
})

it('a record id begins with the milliseconds it was given', () => {
  const ms = 1_800_000_000_000
  const id = newRecordId(ms)
  assert.equal(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16), ms)
})

it('the bytes are those of the uuid package for the same time, counter and random bits', () => {
  for (let index = 0; index < 1_000; index++) {
    const id = newRecordId(1_850_000_000_000 + (index >> 3))
    const bytes = parse(id)
    const byte = (at: number): number => bytes[at] ?? 0
    const msecs = Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)
    const seq = ((byte(6) & 0x0f) << 28) | (byte(7) << 20) | ((byte(8) & 0x3f) << 14) | (byte(9) << 6) | (byte(10) >> 2)
    assert.equal(v7({ msecs, seq: seq >>> 0, random: bytes }), id)
  }
})

it('random bits do not repeat when a block of them is used up', () => {
  const tails = new Set(Array.from({ length: 2_000 }, () => newRecordId().slice(-10)))
  assert.ok(tails.size > 1_990, `${tails.size} of 2000`)
})
