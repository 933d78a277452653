/** Fault row 23: whatever is emitted, a record comes out, and an honest one. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { canonicalize } from '../../src/event/canonical.ts'
import { convertEvent, FilledEvent } from '../../src/event/convert.ts'
import type { ConvertedEvent } from '../../src/event/converted-event.ts'
import { encodeRecord } from '../../src/event/record.ts'
import { recordBytesMax } from '../../src/limits.ts'
import { compileRedaction } from '../../src/policy/redact.ts'
import { redactedText } from '../../src/policy/redaction/modes.ts'
import { hostileEvent, hostileValue } from './arbitraries.ts'
import { position } from './positions.ts'

const redaction = compileRedaction()

/** The way every event takes, redaction included. */
function seal(event: ConvertedEvent): string {
  const receipts = redaction.redact(event)
  if (receipts.length > 0) event.redactions = receipts
  return encodeRecord(event, position)
}

function assertRecord(text: string): Record<string, unknown> {
  assert.ok(Buffer.byteLength(text) <= recordBytesMax, `${Buffer.byteLength(text)} bytes`)
  assert.ok(text.isWellFormed())
  const record = JSON.parse(text)
  assert.equal(canonicalize(record), text)
  assert.ok(typeof record.action === 'string' && record.action.length > 0)
  const { event_type, stream, seq, prev, id, recorded, v, epoch } = record
  assert.deepEqual(
    { event_type, stream, seq, prev, id, recorded, v, epoch },
    {
      event_type: 'audit',
      stream: position.stream,
      seq: position.sequence,
      prev: position.previousHash,
      id: position.id,
      recorded: position.recorded,
      v: '1',
      epoch: position.epoch,
    },
  )
  return record
}

describe('hostile input', () => {
  it('always becomes a canonical record that fits, at the place that the chain gave it', () => {
    fc.assert(
      fc.property(hostileEvent, (make) => {
        assertRecord(seal(convertEvent(make())))
      }),
      { numRuns: 600 },
    )
  })

  it('does so also as the body of a log record with attributes', () => {
    fc.assert(
      fc.property(hostileEvent, hostileValue, (make, makeDetails) => {
        const filled = new FilledEvent(make(), { action: 'from.attribute', details: makeDetails() })
        assertRecord(seal(convertEvent(filled)))
      }),
      { numRuns: 150 },
    )
  })

  it('gives the same record each time it is the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (event) => {
        assert.equal(seal(convertEvent(event)), seal(convertEvent(structuredClone(event))))
      }),
    )
  })

  it('leaves the input as it was', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (details) => {
        const event = { action: 'a', details, actor: { id: details }, targets: [details], password: details }
        const before = JSON.stringify(event)
        seal(convertEvent(event))
        assert.equal(JSON.stringify(event), before)
      }),
    )
  })

  it('cannot hide a planted secret from redaction, wherever it stands', () => {
    const secret = 'planted-5ecret'
    const keys = fc.constantFrom(
      'password',
      'API-Key',
      'apiKey',
      'x_api_key',
      'user.Authorization',
      'Set-Cookie',
      'Token',
    )
    fc.assert(
      fc.property(
        keys,
        hostileValue,
        fc.array(fc.constantFrom('object', 'array', 'map', 'set'), { maxLength: 6 }),
        (key, makeBeside, nesting) => {
          const beside = makeBeside()
          let details: unknown = { [key]: { from: secret, to: [secret] }, beside, other: 1 }
          for (const kind of nesting) {
            if (kind === 'object') details = { inner: details }
            if (kind === 'array') details = [beside, details]
            if (kind === 'map') details = new Map([['inner', details]])
            if (kind === 'set') details = new Set([details])
          }
          for (const event of [
            { details },
            { target: details },
            { targets: [details] },
            { changes: details },
            { unknown: details },
          ]) {
            const text = seal(convertEvent({ action: 'a', ...event }))
            const record = assertRecord(text)
            assert.ok(!text.includes(secret), text.slice(0, 500))
            // A very large neighbour may leave no room for the place; never for the secret.
            const isWhole = !text.includes('"trimmed":true') && !text.includes('"truncated":"keys"')
            if (isWhole) assert.ok(text.includes(redactedText) && record.redactions !== undefined)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('survives an exhausted stack', () => {
    const results: ConvertedEvent[] = []
    let frames = 0
    const exhaust = (): void => {
      try {
        exhaust()
      } catch {
        // Each frame on the way back leaves a little more stack.
      }
      if (frames++ % 16 !== 0 || results.length === 500) return
      try {
        results.push(convertEvent({ action: 'a', details: { b: [1] } }))
      } catch {
        // There was no room even for the call, or for the last resort behind it: the caller's own exhaustion.
      }
    }
    exhaust()
    assert.ok(results.some(({ details }) => details !== undefined))
    for (const event of results) assertRecord(seal(event))
  })

  it('cannot make conversion take long by sharing or width', () => {
    let shared: unknown = { text: 'x'.repeat(1_000) }
    for (let depth = 0; depth < 30; depth++) shared = Array.from({ length: 20 }, () => shared)
    const wide = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`key ${index}`, { index }]))
    const bytes = new Uint8Array(2 ** 20)
    const blobs = Array.from({ length: 1_000 }, () => bytes)
    for (const details of [shared, wide, blobs, 'x'.repeat(2 ** 28), 2n ** 1_000_000n]) {
      assertRecord(seal(convertEvent({ action: 'a', details, target: { details }, ...(details === wide ? wide : {}) })))
    }
  })
})
