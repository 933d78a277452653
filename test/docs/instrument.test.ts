/** docs/instrument.md: its table of error classes is the one in force, and its reasons are all there are. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { errorClassRows } from '../../src/event/error-class.ts'
import { quotedIn, readDocument, tableOf } from './markdown.ts'

const document = readDocument('docs/instrument.md')

it('the classes of errors are those that are given, in the order in which they are looked for', () => {
  const published = tableOf(document, 'class', 'status', 'code', 'name').map(
    ([name = '', statuses = '', codes = '', names = '']) => ({
      class: quotedIn(name)[0],
      statuses: statuses === '' ? [] : statuses.split(', '),
      codes: quotedIn(codes),
      names: quotedIn(names),
    }),
  )
  const inForce = errorClassRows.map(({ class: name, statuses = [], codes = [], names = [] }) => ({
    class: name,
    statuses: statuses.map((one) => (typeof one === 'number' ? `${one}` : one.join(' to '))),
    codes: [...codes],
    names: [...names],
  }))
  assert.deepEqual(published, inForce)
})

it('every reason to refuse a webhook is explained', () => {
  const explained = tableOf(document, 'reason', 'what it means').flatMap(([reasons = '']) => quotedIn(reasons))
  const reasons = ['missing', 'malformed', 'unknown_key', 'bad_signature', 'stale', 'future', 'replayed']
  assert.deepEqual(explained, reasons)
})
