import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { runInContext } from '../../src/audit/context.ts'
import { Correlation } from '../../src/audit/correlation.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { hostileValue } from '../event/arbitraries.ts'

const active = { id: '4bf92f3577b34da6a3ce929d0e0e4736', span: '00f067aa0ba902b7', flags: 1 }
const none = () => undefined

test('an own id goes before the context, the context before the trace, a trace before a new id', () => {
  const own = convertEvent({ action: 'a', correlation_id: 'own' })
  const bare = convertEvent({ action: 'a' })
  const traced = convertEvent({ action: 'a', trace: { ...active, id: 'f'.repeat(32) } })
  runInContext({ correlation_id: 'around' }, () => {
    assert.equal(new Correlation(() => active).ofEvent(own), 'own')
    assert.equal(new Correlation(() => active).ofEvent(bare), 'around')
  })
  assert.equal(new Correlation(() => active).ofEvent(bare), active.id)
  assert.equal(new Correlation(() => active).ofEvent(traced), 'f'.repeat(32))
  assert.match(new Correlation(none).ofEvent(bare), /^[0-9a-f-]{36}$/)
})

test('a new id is minted once: by the look and for the record', () => {
  const correlation = new Correlation(none)
  const drawn = correlation.ofInput({ action: 'a' })
  assert.equal(correlation.ofEvent(convertEvent({ action: 'a' })), drawn)
  assert.notEqual(new Correlation(none).ofInput({ action: 'a' }), drawn)
})

test('the cheap look finds the id of the converted event, or says that it is unsure; it never throws', () => {
  const made = <Value>(values: fc.Arbitrary<Value>) => values.map((value) => (): unknown => value)
  const trace = fc.oneof(made(fc.constantFrom(undefined, null, active)), hostileValue)
  const id = fc.oneof(made(fc.string()), made(fc.string({ unit: 'binary', maxLength: 400 })), hostileValue)
  const input = fc.record({ correlation_id: id, trace }, { requiredKeys: [] })
  fc.assert(
    fc.property(input, fc.boolean(), (members, isTraced) => {
      const made = Object.entries(members).map(([name, make]) => [name, make()])
      const event = { action: 'a', ...Object.fromEntries(made) }
      const correlation = new Correlation(isTraced ? () => active : none)
      const looked = correlation.ofInput(event)
      if (!correlation.isUnsure) assert.equal(looked, correlation.ofEvent(convertEvent(event)))
    }),
    { numRuns: 500 },
  )
})

test('what throws when it is read is left to the conversion', () => {
  const correlation = new Correlation(none)
  const event = {
    get correlation_id(): string {
      throw new Error('not to be read')
    },
  }
  assert.equal(correlation.ofInput(event), '')
  assert.equal(correlation.isUnsure, true)
})
