/** What a catalogue finds in events, and what validators may do without harm: throw, promise, mutate, flood, lie. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import * as v from 'valibot'
import { z } from 'zod'
import { type ActionDefinition, defineActions } from '../../src/event/catalogue.ts'
import { compileCatalogue, type OnInvalid } from '../../src/event/catalogue-check.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { factsOf } from '../../src/event/facts.ts'
import { encodeRecord } from '../../src/event/record.ts'
import type { StandardSchemaV1 } from '../../src/event/standard-schema.ts'
import { validationsMax } from '../../src/limits.ts'
import { hostileValue } from './arbitraries.ts'
import { position } from './positions.ts'

interface Checked {
  readonly record: Record<string, unknown>
  readonly rule: string | undefined
}

const right = { version: 3, description: 'An invoice was deleted.' } as const

/** The record of an event under a catalogue of one action, `invoice.delete`. */
function sealed(
  event: object,
  definition: Partial<ActionDefinition>,
  onInvalid: OnInvalid = 'record',
  closed = false,
): Checked {
  const catalogue = defineActions({ 'invoice.delete': { ...right, ...definition } }, { closed })
  const check = compileCatalogue(catalogue, onInvalid)
  const converted = convertEvent({ action: 'invoice.delete', ...event })
  check.fill(converted)
  const rule = check.check(converted)
  return { record: JSON.parse(encodeRecord(converted, position)), rule }
}

/** A schema of a library of our own. */
function schemaOf(validate: (value: unknown) => unknown, vendor = 'own'): StandardSchemaV1<object> {
  return { '~standard': { version: 1, vendor, validate } } as StandardSchemaV1<object>
}

const amount = z.object({ amount: z.number(), why: z.string().optional() })

describe('an event of a catalogued action', () => {
  it('that is right is recorded with the version of its action and no finding', () => {
    const { record, rule } = sealed({ details: { amount: 1 } }, { details: amount })
    assert.deepEqual([record.schema, record.validation, rule], ['1;invoice.delete=3', undefined, undefined])
  })

  it('that is wrong is recorded as it was emitted, with findings that name place and rule', () => {
    const { record, rule } = sealed({ details: { amount: 'much', more: 1 } }, { details: amount })
    assert.deepEqual(record.details, { amount: 'much', more: 1 })
    assert.deepEqual(record.validation, [{ pointer: '/details/amount', rule: 'schema:invalid_type' }])
    assert.deepEqual([record.schema, rule], ['1;invoice.delete=3', undefined])
  })

  it('is held against the schemas of details, changes and target', () => {
    const target = z.object({ id: z.string().startsWith('inv-') })
    const changes = z.object({ state: z.object({ from: z.string(), to: z.literal('deleted') }) })
    const event = { details: { amount: -1 }, changes: { state: { from: 'open', to: 'gone' } }, target: { id: '7' } }
    const { record } = sealed(event, { details: z.object({ amount: z.number().min(0) }), changes, target })
    assert.deepEqual(record.validation, [
      { pointer: '/changes/state/to', rule: 'schema:invalid_value' },
      { pointer: '/details/amount', rule: 'schema:too_small' },
      { pointer: '/target/id', rule: 'schema:invalid_format' },
    ])
  })

  it('without details is held against the schema as if they were empty', () => {
    assert.deepEqual(sealed({}, { details: amount }).record.validation, [
      { pointer: '/details/amount', rule: 'schema:invalid_type' },
    ])
    const { record } = sealed({}, { details: z.object({ amount: z.number().optional() }) })
    assert.deepEqual([record.validation, record.details], [undefined, undefined])
  })

  it('is held against what is recorded, not against what a validator would make of it', () => {
    const coercing = z.object({ amount: z.coerce.number().default(7), unit: z.string().default('EUR') })
    const { record } = sealed({ details: { amount: '12' } }, { details: coercing })
    assert.deepEqual([record.details, record.validation], [{ amount: '12' }, undefined])
  })

  it('is held against JSON: a Date is a text by then', () => {
    const when = new Date('2026-11-22T12:00:00Z')
    const asText = sealed({ details: { when } }, { details: z.object({ when: z.iso.datetime() }) })
    assert.equal(asText.record.validation, undefined)
    const asDate = sealed({ details: { when } }, { details: z.object({ when: z.date() }) })
    assert.deepEqual(asDate.record.validation, [{ pointer: '/details/when', rule: 'schema:invalid_type' }])
  })

  it('keeps the findings of its conversion before those of its schema', () => {
    const { record } = sealed({ outcome: 'fine', details: { amount: 'x' } }, { details: amount })
    assert.deepEqual(record.validation, [
      { pointer: '/outcome', rule: 'value' },
      { pointer: '/details/amount', rule: 'schema:invalid_type' },
    ])
  })

  it('has the rules of valibot by their names', () => {
    const details = v.object({ amount: v.pipe(v.number(), v.minValue(0)), mail: v.string() })
    const { record } = sealed({ details: { amount: -1 } }, { details })
    assert.deepEqual(record.validation, [
      { pointer: '/details/amount', rule: 'schema:min_value' },
      { pointer: '/details/mail', rule: 'schema:object' },
    ])
  })
})

describe('what a definition says beside its schemas', () => {
  it('the operation and the defaults fill what an event lacks, one level deep', () => {
    const defaults = { target: { resource_type: 'invoice' }, outcome: 'success', tenant: 't' } as const
    const { record } = sealed({ target: { id: '7' }, tenant: 'own' }, { operation: 'delete', defaults })
    assert.deepEqual(record.target, { id: '7', resource_type: 'invoice' })
    assert.deepEqual([record.operation, record.outcome, record.tenant], ['delete', 'success', 'own'])
  })

  it('the target of the defaults stays out of an event with several targets', () => {
    const { record } = sealed({ targets: [{ id: '7' }] }, { defaults: { target: { resource_type: 'invoice' } } })
    assert.deepEqual([record.target, record.targets], [undefined, [{ id: '7' }]])
  })

  it('what is filled in is fresh for each event, as redaction works in place', () => {
    const defaults = { target: { resource_type: 'invoice' } }
    const check = compileCatalogue(defineActions({ a: { ...right, defaults } }), 'record')
    const [one, other] = [convertEvent({ action: 'a' }), convertEvent({ action: 'a' })]
    check.fill(one)
    if (one.target !== undefined) one.target.resource_type = '[REDACTED]'
    check.fill(other)
    assert.deepEqual([other.target, defaults.target], [{ resource_type: 'invoice' }, { resource_type: 'invoice' }])
  })

  it('another operation is recorded as emitted, with a finding', () => {
    const { record } = sealed({ operation: 'read' }, { operation: 'delete' })
    assert.equal(record.operation, 'read')
    assert.deepEqual(record.validation, [{ pointer: '/operation', rule: 'schema:operation' }])
  })

  it('an event that states another version is recorded with that version and a finding, and not judged by ours', () => {
    const { record } = sealed({ schema: '2', details: { amount: 'x' } }, { details: amount })
    assert.equal(record.schema, '1;invoice.delete=2')
    assert.deepEqual(record.validation, [{ pointer: '/schema', rule: 'schema:version' }])
    assert.equal(sealed({ schema: '3' }, {}).record.validation, undefined)
  })
})

describe('an action that the catalogue does not name', () => {
  it('is recorded without a word by an open catalogue', () => {
    const { record, rule } = sealed({ action: 'invoice.send' }, {}, 'suppress')
    assert.deepEqual([record.schema, record.validation, rule], ['1', undefined, undefined])
  })

  it('is recorded with a finding by a closed one', () => {
    const { record, rule } = sealed({ action: 'invoice.send' }, {}, 'record', true)
    assert.deepEqual([record.validation, rule], [[{ pointer: '/action', rule: 'schema:uncatalogued' }], undefined])
  })
})

describe('the facts that policy decides by', () => {
  const check = compileCatalogue(
    defineActions({ a: { ...right, operation: 'read' }, b: { ...right, defaults: { tenant: 't' } }, c: right }),
    'record',
  )
  const facts = (event: object) => factsOf(convertEvent(event))

  it('have the operation of the definition, and are those of the filled event', () => {
    for (const event of [{ action: 'a' }, { action: 'a', operation: 'delete' }, { action: 'c' }, { action: 'd' }]) {
      const filled = convertEvent(event)
      check.fill(filled)
      assert.deepEqual(check.completeFacts(facts(event)), factsOf(filled))
    }
    assert.equal(check.completeFacts(facts({ action: 'a' }))?.operation, 'read')
  })

  it('are left to the filled event where there are defaults', () => {
    assert.equal(check.completeFacts(facts({ action: 'b' })), undefined)
  })
})

describe('onInvalid: suppress', () => {
  it('gives the rule of the action for an event that is wrong, and none for one that is right', () => {
    assert.equal(sealed({ details: { amount: 'x' } }, { details: amount }, 'suppress').rule, 'schema:invoice.delete')
    assert.equal(sealed({ details: { amount: 1 } }, { details: amount }, 'suppress').rule, undefined)
    assert.equal(sealed({ schema: '2' }, {}, 'suppress').rule, 'schema:invoice.delete')
    assert.equal(sealed({ operation: 'read' }, { operation: 'delete' }, 'suppress').rule, 'schema:invoice.delete')
  })

  it('has one rule for all actions that a closed catalogue does not name', () => {
    assert.equal(sealed({ action: 'invoice.send' }, {}, 'suppress', true).rule, 'schema:_other')
  })

  it('looks at the catalogue alone: what conversion mended is recorded', () => {
    assert.equal(sealed({ outcome: 'fine', details: { amount: 1 } }, { details: amount }, 'suppress').rule, undefined)
  })

  it('records what a schema could not judge: a broken validator must not lose events', () => {
    const details = schemaOf(() => {
      throw new Error('broken')
    })
    const { record, rule } = sealed({}, { details }, 'suppress')
    assert.deepEqual([rule, record.validation], [undefined, [{ pointer: '/details', rule: 'schema:no_answer' }]])
  })

  it('suppresses also when the findings of the conversion leave no room for another', () => {
    const targets = Array.from({ length: validationsMax + 8 }, (_, index) => ({ id: index }))
    const { record, rule } = sealed({ targets, details: { amount: 'x' } }, { details: amount }, 'suppress')
    assert.deepEqual([(record.validation as unknown[]).length, rule], [validationsMax, 'schema:invoice.delete'])
  })
})

describe('a validator', () => {
  const noAnswer = [{ pointer: '/details', rule: 'schema:no_answer' }]
  const secret = 'hunter2-4111111111111111'

  const silent: readonly (readonly [string, (value: unknown) => unknown])[] = [
    [
      'throws',
      () => {
        throw new Error(secret)
      },
    ],
    [
      'throws nothing',
      () => {
        throw undefined
      },
    ],
    ['answers with a promise', () => Promise.resolve({ value: {} })],
    ['answers with a promise that rejects', () => Promise.reject(new Error(secret))],
    ['answers with undefined', () => undefined],
    ['answers with an empty object', () => ({})],
    ['answers with issues that are no list', () => ({ issues: secret })],
    [
      'answers with a proxy that throws',
      () =>
        new Proxy(
          {},
          {
            get: () => {
              throw new Error(secret)
            },
          },
        ),
    ],
    [
      'recurs without end',
      function recur(value): unknown {
        return recur(value)
      },
    ],
  ]
  for (const [name, validate] of silent) {
    it(`that ${name} is a finding, and the event is recorded`, async () => {
      const { record } = sealed({ details: { amount: 1 } }, { details: schemaOf(validate) })
      assert.deepEqual([record.details, record.validation], [{ amount: 1 }, noAnswer])
      await new Promise((resolve) => setImmediate(resolve)) // an unhandled rejection would end the test
    })
  }

  it('of zod that is asynchronous, or whose refinement throws, is a finding', async () => {
    const asynchronous = z.object({}).refine(async () => false)
    const throwing = z.object({}).refine(() => {
      throw new Error(secret)
    })
    assert.deepEqual(sealed({}, { details: asynchronous }).record.validation, noAnswer)
    assert.deepEqual(sealed({}, { details: throwing }).record.validation, noAnswer)
    await new Promise((resolve) => setImmediate(resolve))
  })

  it('that changes what it is given changes no record', () => {
    const details = schemaOf((value) => {
      const members = value as { list: unknown[]; deep: { a: unknown }; amount?: number }
      members.list.length = 0
      members.deep.a = secret
      delete members.amount
      return { value }
    })
    const given = { amount: 1, list: [1, { b: 2 }], deep: { a: 1 } }
    const { record } = sealed({ details: given }, { details })
    assert.deepEqual([record.details, record.validation], [given, undefined])
  })

  it('that finds very much is heard to the limit', () => {
    const issues = Array.from({ length: 100_000 }, (_, index) => ({ message: secret, path: ['list', index % 900] }))
    const { record } = sealed({}, { details: schemaOf(() => ({ issues })) })
    const findings = record.validation as { pointer: string }[]
    assert.equal(findings.length, validationsMax)
    assert.equal(findings[31]?.pointer, '/details/list/31')
  })

  it('that finds very much is read to the limit', () => {
    let reads = 0
    const issues = new Proxy(new Array(1e6), {
      get: (list, key) => {
        reads += 1
        return key === 'length' ? list.length : { path: [reads] }
      },
    })
    sealed({}, { details: schemaOf(() => ({ issues })) })
    assert.ok(reads < 3 * validationsMax, String(reads))
  })

  it('that says nothing in its list of issues has still refused the event', () => {
    const { record } = sealed({}, { details: schemaOf(() => ({ issues: [] })) })
    assert.deepEqual(record.validation, [{ pointer: '/details', rule: 'schema:invalid' }])
  })

  const hostile: readonly (readonly [string, unknown, string])[] = [
    ['no path', { message: secret }, '/details'],
    ['no object', secret, '/details'],
    ['null', null, '/details'],
    ['a path that is a text', { path: secret }, '/details'],
    ['a path of segments', { path: [{ key: 'list' }, { key: 3 }, 'a-b_c'] }, '/details/list/3/a-b_c'],
    ['a value for a key', { path: ['cards', '4111111111111111'] }, '/details/cards/*'],
    ['an address for a key', { path: ['who@example.com', '10.0.0.1'] }, '/details/*/*'],
    ['a token for a key', { path: ['AKIA7Q3B2Z5D8F9G1H4J', 'eyJhbGciOiJ.eyJzdWIi.x'] }, '/details/*/*'],
    ['a key with / and ~', { path: ['a/b', '~'] }, '/details/*/*'],
    ['symbols, objects, floats', { path: [Symbol(secret), {}, 1.5, -1, 1e9, null] }, '/details/*/*/*/*/*/*'],
    ['a key of great length', { path: ['x'.repeat(41)] }, '/details/*'],
    ['a path of great length', { path: new Array(1e6).fill('a') }, `/details${'/a'.repeat(8)}`],
    [
      'a proxy',
      new Proxy(
        {},
        {
          get: () => {
            throw new Error(secret)
          },
        },
      ),
      '/details',
    ],
    [
      'a path whose members throw',
      {
        path: Object.defineProperty(['a'], 0, {
          get: () => {
            throw new Error(secret)
          },
        }),
      },
      '/details',
    ],
  ]
  for (const [name, issue, pointer] of hostile) {
    it(`whose issue has ${name} leaks nothing`, () => {
      const { record } = sealed({}, { details: schemaOf(() => ({ issues: [issue] })) })
      assert.deepEqual(record.validation, [{ pointer, rule: 'schema:invalid' }])
    })
  }

  it('names rules only in words of libraries that we know', () => {
    const issues = [{ message: secret, code: 'too_small', type: 'number' }]
    const ruleOf = (vendor: string) =>
      (sealed({}, { details: schemaOf(() => ({ issues }), vendor) }).record.validation as { rule: string }[])[0]?.rule
    assert.deepEqual(['zod', 'arktype', 'valibot', 'own', 'constructor', '__proto__'].map(ruleOf), [
      'schema:too_small',
      'schema:too_small',
      'schema:number',
      'schema:invalid',
      'schema:invalid',
      'schema:invalid',
    ])
    const lying = schemaOf(() => ({ issues: [{ message: '', code: secret }] }), 'zod')
    assert.deepEqual(sealed({}, { details: lying }).record.validation, [
      { pointer: '/details', rule: 'schema:invalid' },
    ])
  })
})

it('whatever is emitted, nothing throws, the record is what it would be without a catalogue, and no finding holds a value', () => {
  const details = z.strictObject({
    amount: z.number(),
    list: z.array(z.string()),
    deep: z.record(z.string(), z.email()),
  })
  const check = compileCatalogue(
    defineActions({ a: { ...right, details, target: details } }, { closed: true }),
    'record',
  )
  fc.assert(
    fc.property(hostileValue, (make) => {
      const event = {
        action: 'a',
        details: { amount: make(), list: [make()], deep: make(), more: make() },
        target: make(),
      }
      const [plain, checked] = [convertEvent(event), convertEvent(event)]
      check.fill(checked)
      check.check(checked)
      assert.equal(checked.schema, '3')
      for (const finding of checked.validation ?? []) {
        assert.match(String(finding.rule), /^(?:missing|cut|type|value|schema:[a-z_]{1,32})$/)
        assert.ok(String(finding.pointer).length < 400)
      }
      checked.schema = plain.schema
      const validation = plain.validation
      checked.validation = validation
      assert.equal(encodeRecord(checked, position), encodeRecord(plain, position))
    }),
  )
})
