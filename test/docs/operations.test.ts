/** docs/operations.md against the code: states, metrics, members of a gap, error codes. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Emergencies } from '../../src/audit/emergency.ts'
import { metricDefinitions } from '../../src/audit/metrics.ts'
import { auditSpoolStates, reasonsAgainst } from '../../src/audit/state.ts'
import { quotedIn, readDocument, tableOf } from './markdown.ts'

const document = readDocument('docs/operations.md')
const firstQuoted = ([cell = '']: readonly string[]) => quotedIn(cell)[0] ?? ''

it('every state of the spool is explained, with what it means for readiness', () => {
  const rows = tableOf(document, '`spool`', 'ready')
  assert.deepEqual(rows.map(firstQuoted), auditSpoolStates)
  for (const [index, state] of auditSpoolStates.entries()) {
    const isReady = reasonsAgainst({ state, directory: 'd', reason: '', bytes: 0, bytesMax: 1 }).length === 0
    assert.equal(rows[index]?.[1], isReady ? 'yes' : 'no', state)
  }
})

it('every metric is listed, and no other', () => {
  const listed = tableOf(document, 'metric', 'labels').map(firstQuoted)
  assert.deepEqual(
    listed,
    metricDefinitions.map(({ name }) => name),
  )
})

it('every member of a gap for emergency records is explained', () => {
  const explained = tableOf(document, 'member of `details`').flatMap(([cell = '']) => quotedIn(cell))
  assert.deepEqual(explained, [...Object.keys(new Emergencies().gap()), 'lost'])
})

it('the codes it names exist', () => {
  const known = new Set([...readDocument('src/errors.ts').matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map(([, code]) => code))
  const named = tableOf(document, 'code', 'meaning').map(firstQuoted)
  assert.deepEqual(
    named.filter((code) => !known.has(code)),
    [],
  )
})
