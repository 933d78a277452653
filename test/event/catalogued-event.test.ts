/** What an editor offers where an event is written, and what the compiler says when it is wrong. */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Compiler } from '../types/compiler.ts'

const prelude = `import { z } from 'zod'
import { createAudit, defineActions } from '../../src/index.ts'
const details = z.object({ amount: z.number(), currency: z.enum(['EUR', 'CHF']) })
const actions = {
  'invoice.delete': { version: 1, description: 'x', operation: 'delete', details },
  'invoice.read': { version: 1, description: 'x' },
} as const
const audit = createAudit({ actions: defineActions(actions) })
const closed = createAudit({ actions: defineActions(actions, { closed: true }) })
`
const preludeLines = prelude.split('\n').length - 1

let compiler: Compiler
before(async () => {
  compiler = await Compiler.start()
})
after(() => compiler.stop())

describe('an editor completes', () => {
  const rows: readonly (readonly [string, string, readonly string[]])[] = [
    ['the names of actions', "audit.emit({ action: '|' })", ['invoice.delete', 'invoice.read']],
    ['the names of actions in a closed catalogue', "closed.emit({ action: '|' })", ['invoice.delete', 'invoice.read']],
    ['the members of details', "audit.emit({ action: 'invoice.delete', details: { | } })", ['amount', 'currency']],
    [
      'the values of a detail',
      "audit.emit({ action: 'invoice.delete', details: { amount: 1, currency: '|' } })",
      ['CHF', 'EUR'],
    ],
    ['the operation', "audit.emit({ action: 'invoice.delete', operation: '|' })", ['delete']],
  ]
  for (const [name, program, expected] of rows) {
    it(name, async () => {
      const offered = await compiler.completionsIn(prelude + program)
      assert.deepEqual(offered.filter((label) => label !== '').toSorted(), expected)
    })
  }
})

describe('the compiler says', () => {
  const rows: readonly (readonly [string, string, RegExp])[] = [
    [
      'the type of a detail',
      "audit.emit({ action: 'invoice.delete', details: { amount: '1', currency: 'EUR' } })",
      /^Type 'string' is not assignable to type 'number'/,
    ],
    [
      'the detail that is missing',
      "audit.emit({ action: 'invoice.delete', details: { amount: 1 } })",
      /Property 'currency' is missing/,
    ],
    ['that details are missing', "audit.emit({ action: 'invoice.delete' })", /Property 'details' is missing/],
    [
      'the detail that is unknown',
      "audit.emit({ action: 'invoice.delete', details: { amount: 1, currency: 'EUR', x: 1 } })",
      /'x' does not exist in type/,
    ],
    [
      'the actions of a closed catalogue',
      "closed.emit({ action: 'invoice.delte' })",
      /^Type '"invoice\.delte"' is not assignable to type '"invoice\.(?:delete|read)" \| "invoice\.(?:delete|read)"'/,
    ],
  ]
  for (const [name, program, message] of rows) {
    it(name, async () => {
      const errors = await compiler.errorsIn(prelude + program)
      assert.equal(errors.length, 1, JSON.stringify(errors))
      assert.equal(errors[0]?.line, preludeLines + 1)
      assert.match(errors[0]?.message ?? '', message)
    })
  }

  it('nothing about an event that is right', async () => {
    const right = "audit.emit({ action: 'invoice.delete', details: { amount: 1, currency: 'EUR' } })"
    assert.deepEqual(await compiler.errorsIn(prelude + right), [])
  })
})
