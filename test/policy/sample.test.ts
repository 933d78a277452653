import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { convertEvent } from '../../src/event/convert.ts'
import type { Operation, Outcome } from '../../src/event/event.ts'
import { factsOf } from '../../src/event/facts.ts'
import { compilePolicy, type Decision } from '../../src/policy/policy.ts'
import type { PolicyOptions } from '../../src/policy/policy-options.ts'
import { compileDraw, identifySecret, thresholdOf } from '../../src/policy/sample.ts'

const secret = 'a secret of the deployment'

/** Correlation ids that a fixed seed makes: the same in every run. */
function traceIds(count: number, seed = 5): string[] {
  return fc.sample(fc.stringMatching(/^[0-9a-f]{32}$/), { numRuns: count, seed })
}

function decider(options: PolicyOptions): (operation: Operation, id: string, outcome?: Outcome) => Decision {
  const policy = compilePolicy({ level: 'all', sampleSecret: secret, ...options })
  return (operation, id, outcome = 'success') =>
    policy.decide(factsOf(convertEvent({ action: 'a', operation, outcome })), () => id)
}

describe('the draw', () => {
  it('is the first 48 bits of an HMAC of the correlation id, which anyone with the secret can repeat', () => {
    const id = '0af7651916cd43dd8448eb211c80319c'
    const digest = createHmac('sha256', secret).update('otel-audit.sample\0').update(id).digest()
    assert.equal(compileDraw(secret)(id), digest.readUIntBE(0, 6))
    // The first 12 hex digits that openssl dgst -sha256 -hmac prints.
    assert.equal(compileDraw(secret)(id), 0x15464f3a359c)
  })

  it('is the same for the same id, in whatever order ids come', () => {
    const [draw, other] = [compileDraw(secret), compileDraw(secret)]
    const ids = traceIds(50)
    const draws = ids.map(draw)
    assert.deepEqual(ids.toReversed().map(other).toReversed(), draws)
    assert.deepEqual(
      ids.flatMap((id) => [draw(id), draw(id)]),
      draws.flatMap((one) => [one, one]),
    )
  })

  it('is another one with another secret', () => {
    const ids = traceIds(50)
    const [one, two] = [compileDraw(secret), compileDraw(`${secret}!`)]
    assert.ok(ids.every((id) => one(id) !== two(id)))
    assert.notEqual(identifySecret(secret), identifySecret(`${secret}!`))
  })
})

describe('the threshold', () => {
  it('is exact for 0, 1 and halves, and above 0 for every rate above 0', () => {
    assert.deepEqual([0, 0.5, 0.25, 1].map(thresholdOf), [0, 2 ** 47, 2 ** 46, 2 ** 48])
    assert.equal(thresholdOf(Number.MIN_VALUE), 1)
  })
})

describe('sampling (AUDIT_TRAIL_SAMPLE_RATE, AUDIT_TRAIL_SAMPLE_READS)', () => {
  const ids = traceIds(20_000)

  it('rate 0 keeps nothing, rate 1 everything; neither draws', () => {
    const noDraw = (): string => assert.fail('the correlation id was asked for')
    const facts = factsOf(convertEvent({ action: 'a', operation: 'update' }))
    const nothing = compilePolicy({ sampleRate: 0, sampleSecret: secret })
    assert.deepEqual(nothing.decide(facts, noDraw), { kept: false, rule: 'sample_rate' })
    assert.ok(compilePolicy({ sampleRate: 1 }).decide(facts, noDraw).kept)
  })

  for (const rate of [0.01, 0.1, 0.5, 0.9]) {
    it(`rate ${rate} keeps that share of 20,000 traces, within four standard deviations`, () => {
      const decide = decider({ sampleRate: rate })
      const kept = ids.filter((id) => decide('update', id).kept).length
      const deviation = Math.sqrt(ids.length * rate * (1 - rate))
      assert.ok(Math.abs(kept - ids.length * rate) < 4 * deviation, `${kept} kept`)
    })
  }

  it('_READS governs reads, _RATE the rest', () => {
    const decide = decider({ sampleRate: 1, sampleReads: 0 })
    assert.deepEqual(decide('read', 'c'), { kept: false, rule: 'sample_reads' })
    for (const operation of ['create', 'access', 'execute', 'other'] as const) assert.ok(decide(operation, 'c').kept)
    const other = decider({ sampleRate: 0, sampleReads: 1 })
    assert.ok(other('read', 'c').kept)
    for (const operation of ['create', 'access', 'execute', 'other'] as const) {
      assert.deepEqual(other(operation, 'c'), { kept: false, rule: 'sample_rate' })
    }
  })

  it('keeps or drops a trace whole, reads and writes, when the rates are equal', () => {
    const decide = decider({ sampleRate: 0.3, sampleReads: 0.3 })
    for (const id of ids.slice(0, 2_000)) {
      const kept = decide('read', id).kept
      for (const operation of ['create', 'delete', 'login'] as const) assert.equal(decide(operation, id).kept, kept)
    }
  })

  it('with a lower rate for reads, reads are kept of traces whose writes are kept too', () => {
    const decide = decider({ sampleRate: 0.5, sampleReads: 0.1 })
    const withReads = ids.filter((id) => decide('read', id).kept)
    assert.ok(withReads.length > 1_000)
    assert.ok(withReads.every((id) => decide('update', id).kept))
  })

  it('decides alike in every service that shares the secret, and not alike without', () => {
    const [here, there] = [decider({ sampleRate: 0.5 }), decider({ sampleRate: 0.5, level: 'writes_only' })]
    const elsewhere = decider({ sampleRate: 0.5, sampleSecret: 'another secret' })
    const decisions = ids.slice(0, 500).map((id) => [here, there, elsewhere].map((decide) => decide('update', id).kept))
    assert.ok(decisions.every(([one, two]) => one === two))
    const alike = decisions.filter(([one, , three]) => one === three).length
    assert.ok(alike > 180 && alike < 320, `${alike} of 500 alike`)
  })

  it('never takes away failures and denials; events without a known outcome it does', () => {
    const decide = decider({ sampleRate: 0, sampleReads: 0 })
    for (const operation of ['read', 'update'] as const) {
      assert.ok(decide(operation, 'c', 'failure').kept)
      assert.ok(decide(operation, 'c', 'denied').kept)
      assert.ok(!decide(operation, 'c', 'unknown').kept)
    }
  })

  it('a caller who picks trace ids gets the share that the rate says, however he picks them', () => {
    const decide = decider({ sampleRate: 0.1 })
    const picks: readonly ((index: number) => string)[] = [
      (index) => index.toString(16).padStart(32, '0'),
      (index) => index.toString(16).padEnd(32, 'f'),
      (index) => 'x'.repeat(index % 500) + index,
    ]
    for (const pick of picks) {
      const kept = Array.from({ length: 5_000 }, (_, index) => pick(index + 1)).filter(
        (id) => decide('update', id).kept,
      )
      assert.ok(Math.abs(kept.length - 500) < 4 * Math.sqrt(450), `${kept.length} of 5,000 kept`)
    }
  })
})
