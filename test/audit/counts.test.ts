import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventCounts } from '../../src/audit/counts.ts'

test('events are counted by action and outcome; an action that was not named is _other, none without outcome is lost', () => {
  const counts = new EventCounts(['invoice.delete'])
  counts.countRecorded('invoice.delete', 'success')
  counts.countRecorded('invoice.delete', 'success')
  counts.countRecorded('invoice.delete', 'denied')
  counts.countRecorded('user 4711 logs in', undefined)
  counts.countRecorded('__proto__', 'failure')
  assert.deepEqual(counts.recorded(), [
    { action: 'invoice.delete', outcome: 'success', count: 2 },
    { action: 'invoice.delete', outcome: 'denied', count: 1 },
    { action: '_other', outcome: 'failure', count: 1 },
    { action: '_other', outcome: 'unknown', count: 1 },
  ])
})

test('however many actions an application makes up, there are no more labels than were named', () => {
  const counts = new EventCounts(['known'])
  for (let at = 0; at < 10_000; at += 1) counts.countRecorded(`action-${at}`, 'success')
  assert.deepEqual(counts.recorded(), [{ action: '_other', outcome: 'success', count: 10_000 }])
})
