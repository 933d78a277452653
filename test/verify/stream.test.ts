/** One stream fed record by record: what it waits for, what it gives up on, and what comes late. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FindingLog } from '../../src/verify/finding-log.ts'
import { KeyRing } from '../../src/verify/key-ring.ts'
import { LeafShelf } from '../../src/verify/leaf-shelf.ts'
import { readLink } from '../../src/verify/link.ts'
import type { Source } from '../../src/verify/source.ts'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { createOtlpSource } from '../../src/verify/sources/otlp.ts'
import { StreamVerifier } from '../../src/verify/stream.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { leafOf, makeKeys, makeTrail, toNdjson, toOtlp } from '../support/trail.ts'

const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const trail = makeTrail({ stream, keys, records: 120, interval: 16 }).lines
const verifiers = [keys.verifier]

async function* nothing(): AsyncGenerator<Buffer> {}

function feed(lines: readonly string[], source: Source, windowRecordsMax: number) {
  const log = new FindingLog('copy')
  const context = { source, ring: new KeyRing(verifiers), log, shelf: new LeafShelf(), windowRecordsMax }
  const verifier = new StreamVerifier(stream, context)
  for (const [position, text] of lines.entries()) {
    const link = readLink({ bytes: Buffer.from(text), position })
    assert.ok(link !== undefined)
    verifier.add(link)
  }
  verifier.finish()
  return { verifier, log }
}

describe('a stream', () => {
  const ordered = createNdjsonSource('copy', nothing)
  const unordered = createOtlpSource('copy', nothing)

  it('in a window too small for its checkpoints is still proven to the last one', () => {
    const { verifier, log } = feed(trail, ordered, 5)
    assert.deepEqual(log.findings, [])
    assert.equal(verifier.coveredTo, trail.length - 1)
    assert.equal(verifier.isProven, true)
  })

  it('goes on behind a hole when the window is full, and proves the rest', () => {
    const { verifier, log } = feed(trail.toSpliced(4, 3), ordered, 40)
    assert.deepEqual(log.findings, [])
    assert.deepEqual(
      verifier.judge.holes.map(({ from, to }) => [from, to]),
      [[5, 7]],
    )
    assert.equal(verifier.isProven, true)
  })

  it('closes a hole when its record comes after all: out of order where order is kept, as if nothing were elsewhere', () => {
    const late = [...trail.toSpliced(4, 3), ...trail.slice(4, 7)]
    const kept = feed(late, ordered, 40)
    assert.deepEqual(kept.verifier.judge.holes, [])
    assert.deepEqual(
      kept.log.findings.map(({ verdict, from, to }) => [verdict, from, to]),
      [['REORDERED', 5, 7]],
    )
    const free = feed(late, unordered, 40)
    assert.deepEqual([free.verifier.judge.holes, free.log.findings], [[], []])
  })

  it('knows a repeat from long ago, and a forgery of it', () => {
    const again = feed([...trail, trail[4] ?? ''], ordered, 40)
    assert.deepEqual([again.verifier.judge.repeats, again.log.findings], [1, []])
    const forged = feed([...trail, (trail[4] ?? '').replace('u-5', 'm-5')], ordered, 40)
    assert.deepEqual(
      forged.log.findings.map(({ verdict, sequence }) => [verdict, sequence]),
      [['FORKED', 5]],
    )
  })
})

describe('any order and any repeats', () => {
  it('of whole records in an unordered source are INTACT or DUPLICATE_DELIVERY', async () => {
    const order = fc.shuffledSubarray([...trail, ...trail.slice(20, 50)], { minLength: trail.length + 30 })
    await fc.assert(
      fc.asyncProperty(order, fc.integer({ min: 1, max: 40 }), async (lines, batchRecords) => {
        const source = createOtlpSource('copy', async function* () {
          yield Buffer.from(toOtlp(lines, batchRecords))
        })
        const { findings, verdict } = await verifySource(source, { verifiers })
        assert.deepEqual([findings, verdict], [[], 'DUPLICATE_DELIVERY'])
      }),
      { numRuns: 20 },
    )
  })

  it('with one record edited name exactly that one', async () => {
    const victim = fc.integer({ min: 2, max: trail.length - 1 })
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(trail, { minLength: trail.length }), victim, async (lines, sequence) => {
        const sealed = trail[sequence - 1] ?? ''
        const forged = sealed.replace('"epoch":1', '"epoch":2')
        const source = createOtlpSource('copy', async function* () {
          yield Buffer.from(toOtlp(lines.with(lines.indexOf(sealed), forged)))
        })
        const { findings } = await verifySource(source, { verifiers })
        assert.deepEqual(
          findings.map(({ verdict, sequence: at, expected, found }) => [verdict, at, expected, found]),
          [['CONTENT_TAMPERED', sequence, leafOf(sealed), leafOf(forged)]],
        )
      }),
      { numRuns: 20 },
    )
  })
})

describe('any damage', () => {
  it('to an NDJSON file is a finding or leaves every record that is covered or linked to as it was, and never throws', async () => {
    const whole = Buffer.from(toNdjson(trail))
    const cut = fc.record({
      at: fc.nat(whole.length - 1),
      length: fc.nat(2_000),
      by: fc.uint8Array({ maxLength: 300 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { minLength: 1, maxLength: 3 }), async (cuts) => {
        let bytes = whole
        for (const { at, length, by } of cuts)
          bytes = Buffer.concat([bytes.subarray(0, at), by, bytes.subarray(Math.min(bytes.length, at + length))])
        const source = createNdjsonSource('copy', async function* () {
          yield bytes
        })
        const { exitCode, streams } = await verifySource(source, { verifiers })
        if (exitCode !== 0) return
        // Nothing but the end may be gone: what is left is a beginning of the trail, byte for byte. Only the last
        // record may differ, where no checkpoint covers it: no later record links to it (docs/verify.md).
        const left = bytes.toString().split('\n')
        const { last = 0, coveredTo = 0 } = streams[0] ?? {}
        const held = Math.max(coveredTo, last - 1)
        assert.deepEqual(left.slice(0, held), trail.slice(0, held))
      }),
      { numRuns: 150 },
    )
  })
})
