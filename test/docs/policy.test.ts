/** docs/policy.md against the code: every cell of the level table, every hidden name, the receipt it shows. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { canonicalize } from '../../src/event/canonical.ts'
import { convertEvent } from '../../src/event/convert.ts'
import type { Operation, Outcome } from '../../src/event/event.ts'
import { type Level, levelKeeps, levels } from '../../src/policy/level.ts'
import { compileRedaction } from '../../src/policy/redact.ts'
import { secretKeys } from '../../src/policy/redaction/keys.ts'
import { fencesOf, quotedIn, readDocument, tableOf } from './markdown.ts'

const document = readDocument('docs/policy.md')
const outcomes: readonly Outcome[] = ['success', 'failure', 'denied', 'unknown']

/** What a cell of the table says about an outcome. */
const cellKeeps: Readonly<Record<string, (outcome: Outcome) => boolean>> = {
  kept: () => true,
  '–': () => false,
  'only if denied': (outcome) => outcome === 'denied',
  'unless a success': (outcome) => outcome !== 'success',
}

it('the level table says what the level does, cell by cell', () => {
  const columns = levels.map((level) => `\`${level}\``)
  let cells = 0
  for (const [operations = '', ...row] of tableOf(document, 'operation', ...columns)) {
    for (const operation of quotedIn(operations) as Operation[]) {
      for (const [index, cell] of row.entries()) {
        for (const outcome of outcomes) {
          const level = levels[index] as Level
          assert.equal(cellKeeps[cell]?.(outcome), levelKeeps(level, operation, outcome), `${operation} under ${level}`)
          cells += 1
        }
      }
    }
  }
  assert.equal(cells, 13 * 5 * outcomes.length)
})

it('the names that the preset hides are listed', () => {
  const listed = document.split('\n\n').find((paragraph) => paragraph.startsWith('`accesskey`'))
  assert.deepEqual(quotedIn(listed ?? ''), [...secretKeys])
})

it('the receipt is the one that redaction writes', () => {
  const event = convertEvent({ action: 'a', details: { password: 'hunter2' } })
  const redactions = compileRedaction().redact(event)
  const shown = fencesOf(document).find(({ language }) => language === 'json')
  assert.equal(canonicalize(JSON.parse(shown?.text ?? '')), canonicalize({ details: event.details, redactions }))
})
