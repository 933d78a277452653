/** Definitions that are refused, where they are made; and how a catalogue is told from anything else. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as v from 'valibot'
import { z } from 'zod'
import { AuditError } from '../../src/errors.ts'
import { type ActionDefinitions, defineActions, definitionOf, isCatalogue } from '../../src/event/catalogue.ts'

const unreadable = (): never => {
  throw new Error('unreadable')
}
const right = { version: 1, description: 'An invoice was deleted.' }

describe('a definition that is wrong is refused with its name, value and rule', () => {
  const rows: readonly (readonly [string, unknown, string, RegExp])[] = [
    ['no definitions', 7, 'actions', /is 7; allowed: an object with one definition/],
    ['an array', [right], 'actions', /allowed: an object with one definition/],
    ['a name with white space', { 'invoice delete': right }, 'actions["invoice delete"]', /a name of at most 128/],
    ['a name with =', { 'a=1': right }, 'actions["a=1"]', /a name of at most/],
    ['a name with ;', { 'a;b': right }, 'actions["a;b"]', /a name of at most/],
    ['an empty name', { '': right }, 'actions[""]', /a name of at most/],
    ['a name too long', { ['a'.repeat(129)]: right }, `actions["${'a'.repeat(129)}"]`, /a name of at most/],
    ['a name of ours', { 'audit.checkpoint': right }, 'actions["audit.checkpoint"]', /does not begin with audit\./],
    ['no definition', { a: undefined }, 'actions["a"]', /is undefined; allowed: a definition/],
    ['no version', { a: { description: 'x' } }, 'actions["a"].version', /is undefined; allowed: an integer from 1/],
    ['version 0', { a: { ...right, version: 0 } }, 'actions["a"].version', /is 0; allowed: an integer from 1/],
    ['version 1.5', { a: { ...right, version: 1.5 } }, 'actions["a"].version', /is 1\.5/],
    ['a version in text', { a: { ...right, version: '1' } }, 'actions["a"].version', /is "1"/],
    ['no description', { a: { version: 1 } }, 'actions["a"].description', /a sentence/],
    ['an empty description', { a: { ...right, description: ' ' } }, 'actions["a"].description', /a sentence/],
    [
      'an unknown operation',
      { a: { ...right, operation: 'erase' } },
      'actions["a"].operation',
      /"erase"; allowed: create, read/,
    ],
    [
      'an unknown member',
      { a: { ...right, detail: {} } },
      'actions["a"].detail',
      /absent: a definition has version, desc/,
    ],
    [
      'details that are no schema',
      { a: { ...right, details: { amount: 'number' } } },
      'actions["a"].details',
      /Standard Schema v1/,
    ],
    [
      'defaults of another member',
      { a: { ...right, defaults: { details: {} } } },
      'actions["a"].defaults',
      /actor, outcome, target/,
    ],
    [
      'defaults that conversion would mend',
      { a: { ...right, defaults: { outcome: 'fine' } } },
      'actions["a"].defaults',
      /each as an event/,
    ],
    [
      'a step that is no function',
      { a: { ...right, version: 2, upcast: { 1: {} } } },
      'actions["a"].upcast',
      /functions by version/,
    ],
    [
      'a step from the newest version',
      { a: { ...right, upcast: { 1: () => ({}) } } },
      'actions["a"].upcast',
      /one below/,
    ],
  ]
  for (const [name, actions, setting, rule] of rows) {
    it(name, () => {
      assert.throws(
        () => defineActions(actions as ActionDefinitions),
        (error) => {
          assert.ok(error instanceof AuditError)
          assert.deepEqual([error.code, error.setting], ['INVALID_OPTION', setting])
          assert.match(error.message, rule)
          assert.match(error.hint, /docs\/catalogue\.md/)
          return true
        },
      )
    })
  }

  it('closed in another type', () => {
    assert.throws(
      () => defineActions({}, { closed: 'yes' as unknown as boolean }),
      /closed is "yes"; allowed: true, false/,
    )
  })
})

it('names of every common style are taken', () => {
  for (const name of [
    'invoice.delete',
    'Invoice.Deleted',
    'order:create',
    'user/login',
    'x_y-z',
    'größe.ändern',
    '7.zip',
  ]) {
    assert.equal(isCatalogue(defineActions({ [name]: right })), true, name)
  }
})

it('validators of several libraries are taken', () => {
  const catalogue = defineActions({
    a: { ...right, details: z.object({ amount: z.number() }) },
    b: { ...right, details: v.object({ amount: v.number() }) },
  })
  assert.deepEqual(Object.keys(catalogue.actions), ['a', 'b'])
  assert.equal(catalogue.closed, false)
  assert.ok(Object.isFrozen(catalogue))
})

it('a catalogue is known by its form, and nothing else is one', () => {
  assert.equal(isCatalogue({ actions: { a: right }, closed: true }), true, 'as another copy of the package makes it')
  for (const other of [
    undefined,
    null,
    7,
    [],
    {},
    { a: right },
    { actions: { a: right } },
    { actions: { a: 1 }, closed: true },
    new Proxy({}, { get: unreadable }),
  ]) {
    assert.equal(isCatalogue(other), false)
  }
})

it('what every object inherits is no definition', () => {
  const catalogue = defineActions({})
  for (const action of ['constructor', 'toString', '__proto__'])
    assert.equal(definitionOf(catalogue, action), undefined)
})
