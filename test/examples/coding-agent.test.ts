/** The coding agent as a user runs it: real HTTP, real processes, every step of a comment under one correlation id. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { faultsOf, type Summary } from '../../examples/coding-agent/summary.ts'
import { Checkout } from './checkout.ts'

const comments = 5

let checkout: Checkout
let summary: Summary
let records: readonly { action: string; correlation_id?: string; details?: Record<string, unknown> }[]

before(async () => {
  checkout = new Checkout()
  const dir = join(checkout.path, 'out')
  const argv = ['run', '--silent', 'example:coding-agent', '--', '--comments', String(comments), '--dir', dir]
  const ran = await checkout.run('npm', ...argv)
  assert.equal(ran.exitCode, 0, `${ran.stdout}${ran.stderr}`)
  summary = JSON.parse(readFileSync(join(dir, 'summary.json'), 'utf8')) as Summary
  records = ['agent', 'job-1']
    .flatMap((name) =>
      readFileSync(join(dir, `${name}.ndjson`), 'utf8')
        .split('\n')
        .slice(0, -1),
    )
    .map((line) => JSON.parse(line))
})
after(() => checkout[Symbol.dispose]())

describe('npm run example:coding-agent', () => {
  it('records each call once, with every name that its users know', () => {
    const { actions, uncovered } = summary
    assert.deepEqual(uncovered, [])
    for (const action of ['get_project_info', 'get_mr_details', 'get_mr_diff'])
      assert.equal(actions[`gitlab.api.${action}`], comments)
    for (const action of ['coding.started', 'patch.generated', 'patch.validated', 'command.received'])
      assert.equal(actions[action], comments)
    assert.deepEqual(
      [actions['jira.api.get_issue'], actions['gitlab.api.push_branch'], actions['gitlab.api.post_mr_note']],
      [comments, comments - 2, comments - 2],
    )
    assert.ok(summary.requests > records.filter(({ action }) => /\.api\./.test(action)).length, 'some were tried again')
  })

  it('follows a comment from its webhook through the queue and the job to the push, under one correlation id', () => {
    assert.equal(summary.complete, comments - 2)
    const job = new Set(records.filter(({ action }) => action === 'coding.started').map((one) => one.correlation_id))
    const webhooks = records.filter(({ action }) => action === 'webhook.authenticate')
    assert.equal(webhooks.filter((one) => job.has(one.correlation_id)).length, 1)
  })

  it('says what was done, to what, in the words of the request', () => {
    const details = (action: string) => records.find((one) => one.action === action)?.details
    assert.deepEqual(details('command.received'), { command: '/fix', initiator: 'grace', mr_iid: 1, project_id: 7 })
    assert.deepEqual(details('branch.pushed'), { branch: 'fix/bill-101', commit_sha: 'e5f6a7b8', repo: '7' })
    assert.equal(details('gitlab.api.post_mr_note')?.comment_type, 'note')
    assert.equal(details('webhook.authenticate')?.webhook_event_type, 'Note Hook')
  })

  it('pushes only what was approved, and refuses webhooks that nobody signed or that come again', () => {
    assert.equal(summary.actions['approval.mismatch denied'], 2)
    assert.equal(summary.actions['webhook.authenticate denied'], 2)
  })

  it('holds no secret and no text, and every copy verifies', () => {
    assert.deepEqual(summary.leaks, [])
    assert.deepEqual(
      summary.verdicts,
      Array.from({ length: comments + 1 }, () => 'INTACT'),
    )
  })

  it('finds each thing that could be wrong with it', () => {
    const wrong: readonly (readonly [change: Partial<Summary>, fault: RegExp])[] = [
      [{ complete: 1 }, /1 of 3 comments have every step/],
      [{ uncovered: ['ping: not described'] }, /without a record: ping/],
      [{ leaks: ['remoteToken'] }, /holds remoteToken/],
      [{ verdicts: ['CONTENT_TAMPERED'] }, /a copy is CONTENT_TAMPERED/],
      [{ actions: { ...summary.actions, 'approval.mismatch denied': 1 } }, /1 patches were held back/],
    ]
    assert.deepEqual(faultsOf(summary), [])
    for (const [change, fault] of wrong) assert.match(faultsOf({ ...summary, ...change }).join(), fault)
  })
})
