import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { convertEvent, FilledEvent } from '../../src/event/convert.ts'
import { actorTypes, operations, outcomes } from '../../src/event/event.ts'
import { type EventFacts, factsOf, readFacts } from '../../src/event/facts.ts'
import { hostileEvent, hostileValue, type Make } from './arbitraries.ts'

const throwing = (): never => {
  throw new Error('not for you')
}

const none: EventFacts = {
  action: 'a',
  operation: undefined,
  outcome: undefined,
  actorId: undefined,
  actorType: undefined,
  tenant: undefined,
  targetType: undefined,
  targetId: undefined,
  otherTargets: undefined,
}

describe('the cheap look at an event', () => {
  const read: readonly (readonly [string, unknown, Partial<EventFacts>])[] = [
    ['an action alone', { action: 'invoice.read' }, { action: 'invoice.read' }],
    [
      'everything that policy looks at',
      {
        action: 'a',
        operation: 'read',
        outcome: 'denied',
        actor: { type: 'user', id: 'u-1', roles: ['r'] },
        tenant: 't-1',
        target: { resource_type: 'invoice', id: '42', name: 'n' },
      },
      {
        operation: 'read',
        outcome: 'denied',
        actorType: 'user',
        actorId: 'u-1',
        tenant: 't-1',
        targetType: 'invoice',
        targetId: '42',
      },
    ],
    [
      'an unknown operation, outcome, actor type',
      { action: 'a', operation: 'purge', outcome: '', actor: { type: 'x' } },
      { operation: 'other', outcome: 'unknown', actorType: 'unknown' },
    ],
    [
      'members that are null or undefined',
      { action: 'a', operation: null, outcome: undefined, actor: null, target: null, targets: null, tenant: null },
      {},
    ],
    [
      'references that are bare identifiers',
      { action: 'a', actor: 'u-1', target: '42' },
      { actorId: 'u-1', targetId: '42' },
    ],
    [
      'identifiers that are numbers',
      { action: 'a', actor: { id: 7 }, target: { id: -0 }, tenant: 5 },
      { actorId: '7', targetId: '0', tenant: '5' },
    ],
    [
      'the first of several targets',
      { action: 'a', targets: [{ resource_type: 'x', id: '1' }, '2'] },
      { targetType: 'x', targetId: '1', otherTargets: [{ targetType: undefined, targetId: '2' }] },
    ],
    [
      'a target before targets',
      { action: 'a', target: '1', targets: ['2'] },
      { targetId: '1', otherTargets: [{ targetType: undefined, targetId: '2' }] },
    ],
    ['no targets', { action: 'a', targets: [] }, {}],
    [
      'an object without a prototype',
      Object.assign(Object.create(null), { action: 'a', tenant: 't' }),
      { tenant: 't' },
    ],
    ['lone surrogates, as the record will have them', { action: 'a', tenant: 't\ud800' }, { tenant: 't\ufffd' }],
  ]
  for (const [title, input, facts] of read) {
    it(`reads ${title}, as the conversion does`, () => {
      assert.deepEqual(readFacts(input), { ...none, ...facts })
      assert.deepEqual(factsOf(convertEvent(input)), { ...none, ...facts })
    })
  }

  const unsure: readonly (readonly [string, unknown])[] = [
    ['no object', 'invoice.read'],
    ['null', null],
    ['a list', ['a']],
    ['a Map', new Map([['action', 'a']])],
    [
      'an instance of a class',
      new (class {
        action = 'a'
      })(),
    ],
    ['an event that is filled by another', new FilledEvent({ action: 'a' }, {})],
    ['a proxy', new Proxy({ action: 'a' }, {})],
    ['a getter that throws', Object.defineProperty({ action: 'a' }, 'tenant', { enumerable: true, get: throwing })],
    ['no action', { operation: 'read' }],
    ['an empty action', { action: '' }],
    ['an action that is no text', { action: { toString: () => 'a' } }],
    ['a text near its limit', { action: 'a', tenant: 'x'.repeat(400) }],
    ['an operation that is no text', { action: 'a', operation: 5 }],
    ['an actor that is a list', { action: 'a', actor: ['u'] }],
    ['an actor that is a proxy', { action: 'a', actor: new Proxy({}, {}) }],
    [
      'a target of more keys than are kept',
      { action: 'a', target: Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [`k${index}`, 1])) },
    ],
    ['targets that are no list', { action: 'a', targets: { id: '1' } }],
    ['targets of which one is nothing', { action: 'a', targets: [undefined, { id: '1' }] }],
    ['targets that are a proxy', { action: 'a', targets: new Proxy([], {}) }],
    ['very many targets', { action: 'a', targets: new Array(1_000).fill('1') }],
  ]
  for (const [title, input] of unsure) {
    it(`leaves ${title} to the conversion`, () => assert.equal(readFacts(input), undefined))
  }

  it('leaves an event that holds itself to the conversion', () => {
    const event: Record<string, unknown> = { action: 'a', id: 'of the event' }
    event.target = event
    assert.equal(readFacts(event), undefined)
  })

  it('sees no member that a prototype or a hidden property holds', () => {
    const hidden = Object.defineProperty({ action: 'a' }, 'operation', { value: 'read', enumerable: false })
    assert.deepEqual(readFacts(hidden), none)
    const polluted = Object.prototype as { operation?: string; resource_type?: string }
    try {
      polluted.operation = 'read'
      polluted.resource_type = 'metric'
      assert.deepEqual(readFacts({ action: 'a', target: {} }), none)
    } finally {
      delete polluted.operation
      delete polluted.resource_type
    }
  })
})

/** A value that is made anew each time. */
class Made {
  readonly make: Make

  constructor(make: Make) {
    this.make = make
  }
}

/** Texts, values of enumerations and oddities that the members in question meet in practice. */
const common: fc.Arbitrary<Make> = fc
  .oneof(
    {
      weight: 9,
      arbitrary: fc.constantFrom<unknown>(
        ...operations,
        ...outcomes,
        ...actorTypes,
        null,
        undefined,
        5,
        -0,
        2 ** 60,
        true,
      ),
    },
    { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
    { weight: 3, arbitrary: fc.constantFrom('metric', 'health_check', 'x'.repeat(171), 'x\udc00') },
    { weight: 1, arbitrary: hostileValue.map((make) => new Made(make)) },
  )
  .map((value) => () => (value instanceof Made ? value.make() : value))

const madeOf = (arbitrary: fc.Arbitrary<Make>, ...names: string[]): fc.Arbitrary<Make> =>
  fc
    .record(Object.fromEntries(names.map((name) => [name, arbitrary])), { requiredKeys: [] })
    .map((members) => () => Object.fromEntries(Object.entries(members).map(([name, make]) => [name, make?.()])))

const reference = fc.oneof(common, madeOf(common, 'id', 'type', 'resource_type', 'name'))
const references = fc.array(reference, { maxLength: 3 }).map((makes) => () => makes.map((make) => make()))
const likelyEvent = fc
  .tuple(
    fc.oneof(
      fc.constant(() => 'invoice.read'),
      common,
    ),
    madeOf(common, 'operation', 'outcome', 'tenant', 'details'),
    fc.record({ actor: reference, target: reference, targets: references }, { requiredKeys: [] }),
  )
  .map(([action, members, parts]) => () => ({
    action: action(),
    ...(members() as object),
    ...Object.fromEntries(Object.entries(parts).map(([name, make]) => [name, make()])),
  }))

it('the facts of the cheap look are those of the converted event, whatever the event', () => {
  let looks = 0
  fc.assert(
    fc.property(fc.oneof({ weight: 9, arbitrary: likelyEvent }, { weight: 1, arbitrary: hostileEvent }), (make) => {
      const facts = readFacts(make())
      const event = convertEvent(make())
      const isCutForSize = /"(?:truncated|trimmed)":/.test(JSON.stringify(event))
      if (facts === undefined || isCutForSize) return
      looks += 1
      assert.deepEqual(factsOf(event), facts)
    }),
    { numRuns: 2_000 },
  )
  assert.ok(looks > 200, `only ${looks} events were read by the cheap look`)
})
