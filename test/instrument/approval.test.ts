import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkApproval, digestOf, recordApproval } from '../../src/instrument/approval.ts'
import { listedEvents } from './listed-events.ts'

const what = { command: 'push', branch: 'main', files: ['a', 'b'] }

test('what was approved may happen, in whatever order its members stand', () => {
  const audit = listedEvents()
  const approval = recordApproval(audit, { what, approver: 'ada', decision: 'approve', reason: 'reviewed' })
  assert.equal(
    checkApproval(audit, JSON.parse(JSON.stringify(approval)), {
      what: { files: ['a', 'b'], branch: 'main', command: 'push' },
    }),
    true,
  )
  assert.deepEqual(audit.events, [
    {
      action: 'approval.decision',
      operation: 'approve',
      actor: { type: 'user', id: 'ada' },
      outcome: 'success',
      reason: 'reviewed',
      details: { approval_required: true, approver: 'ada', decision: 'approve', digest: digestOf(what) },
    },
  ])
})

test('anything else may not, and that is recorded as denied', () => {
  const audit = listedEvents()
  const approved = recordApproval(audit, { what, approver: 'ada', decision: 'approve' })
  const rejected = recordApproval(audit, { what, approver: 'ada', decision: 'reject' })
  const changed = { ...what, branch: 'production' }
  assert.equal(checkApproval(audit, approved, { what: changed }), false)
  assert.equal(checkApproval(audit, rejected, { what }), false)
  assert.equal(checkApproval(audit, undefined, { what }), false)
  const mismatches = audit.events.filter(({ action }) => action === 'approval.mismatch')
  assert.deepEqual(
    mismatches.map(({ outcome, reason }) => [outcome, reason]),
    [
      ['denied', 'not what was approved'],
      ['denied', 'rejected'],
      ['denied', 'not approved'],
    ],
  )
  assert.ok(!JSON.stringify(audit.events).includes('production'), 'only digests are told')
})
