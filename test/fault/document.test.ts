import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withResults } from './document.ts'
import { type FaultResult, formatCounts } from './fault.ts'

const empty = ['machine', 'fault tests', 'totals', 'found'].map((name) => `<!-- ${name} -->\n<!-- end of ${name} -->`)
const document = `# Reliability\n\n${empty.join('\n\nwords\n\n')}\n`

function resultOf(name: string, row: string, others: Partial<FaultResult> = {}): FaultResult {
  const nothing = { promise: 'It holds.', injected: {}, survived: {}, detail: '', ms: 1 }
  return { name, row, outcome: 'passed', ...nothing, ...others }
}

test('a test that was not run again keeps its row, one that was gets its new one', () => {
  const first = [
    resultOf('kill-written', '5', { injected: { kills: 20 } }),
    resultOf('fsyncgate-real', '8', { outcome: 'skipped', reason: 'it must be run by root' }),
  ]
  const once = withResults(document, first, 'short')
  const twice = withResults(once, [resultOf('kill-written', '5', { injected: { kills: 200 } })], 'long')
  assert.match(once, /\| 5 \| `kill-written` \| It holds\. \| passed \(short form\) \| 20 kills \|/)
  assert.match(twice, /\| 5 \| `kill-written` \| It holds\. \| passed \| 200 kills \|/)
  assert.match(twice, /skipped: it must be run by root \(short form\)/)
  assert.match(twice, /1 tests passed, 0 failed, 1 skipped.*- 200 kills/s)
  assert.equal(twice.match(/\nwords\n/g)?.length, 3, 'the words around the sections stay')
})

test('a reason cannot break the table or the comment behind it', () => {
  const broken = resultOf('clock', '21', { outcome: 'failed', reason: 'a | b --> c\nsecond line' })
  const written = withResults(withResults(document, [broken], 'long'), [], 'long')
  assert.match(written, /\*\*failed\*\*: a \\\| b --> c \|/)
  assert.equal(written.match(/<!-- end of fault tests -->/g)?.length, 1)
})

test('counts name one thing in the singular', () => {
  assert.equal(
    formatCounts({ kills: 1, 'bits flipped': 1, 'full disks': 1, copies: 1 }),
    '1 kill, 1 bit flipped, 1 full disk, 1 copy',
  )
  assert.equal(formatCounts({ kills: 1_200 }), '1,200 kills')
})
