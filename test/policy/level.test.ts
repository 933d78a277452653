import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Operation, Outcome } from '../../src/event/event.ts'
import { type Level, levelKeeps, levels } from '../../src/policy/level.ts'

type Keeps = 'kept' | '–' | 'only if denied' | 'only if not a success'

/** The table of docs/audit-trails.md, row by row: all, writes_only, mutations_only, deletes_only, failures_only. */
const table: Readonly<Record<Operation | 'absent', readonly [Keeps, Keeps, Keeps, Keeps, Keeps]>> = {
  create: ['kept', 'kept', '–', '–', 'only if not a success'],
  update: ['kept', 'kept', 'kept', '–', 'only if not a success'],
  delete: ['kept', 'kept', 'kept', 'kept', 'only if not a success'],
  read: ['kept', 'only if denied', '–', '–', 'only if not a success'],
  execute: ['kept', 'kept', 'kept', '–', 'only if not a success'],
  access: ['kept', 'kept', 'kept', '–', 'only if not a success'],
  export: ['kept', 'kept', 'kept', '–', 'only if not a success'],
  import: ['kept', 'kept', 'kept', '–', 'only if not a success'],
  login: ['kept', 'kept', 'kept', '–', 'only if not a success'],
  grant: ['kept', 'kept', 'kept', '–', 'only if not a success'],
  revoke: ['kept', 'kept', 'kept', '–', 'only if not a success'],
  approve: ['kept', 'kept', 'kept', '–', 'only if not a success'],
  other: ['kept', 'kept', 'kept', '–', 'only if not a success'],
  absent: ['kept', 'kept', 'kept', '–', 'only if not a success'],
}

const columns: readonly Level[] = ['all', 'writes_only', 'mutations_only', 'deletes_only', 'failures_only']
const outcomes: readonly (Outcome | undefined)[] = ['success', 'failure', 'denied', 'unknown', undefined]

const expected = (keeps: Keeps, outcome: Outcome | undefined): boolean => {
  if (keeps === 'only if denied') return outcome === 'denied'
  if (keeps === 'only if not a success') return outcome !== 'success'
  return keeps === 'kept'
}

for (const [operation, row] of Object.entries(table) as [Operation | 'absent', readonly Keeps[]][]) {
  for (const [index, level] of columns.entries()) {
    const keeps = row[index] ?? '–'
    it(`${level} and ${operation}: ${keeps}`, () => {
      for (const outcome of outcomes) {
        const kept = levelKeeps(level, operation === 'absent' ? undefined : operation, outcome)
        assert.equal(kept, expected(keeps, outcome), `outcome ${outcome}`)
      }
    })
  }
}

it('the table has every level', () => assert.deepEqual(columns, levels))
