import assert from 'node:assert/strict'
import { test } from 'node:test'
import { auditModelCall, type ModelCall } from '../../src/instrument/model.ts'
import { listedEvents } from './listed-events.ts'

const call: ModelCall<{ text: string; tokens: { input: number; output: number } }> = {
  actions: { request: 'copilot.sdk.review_request', response: 'copilot.sdk.response_received' },
  provider: 'example',
  model: 'small-1',
  prompt: 'read this secret plän',
  measure: (answer) => answer,
}

test('a call of a model is two records of one correlation id, with sizes and tokens and no text', async () => {
  const audit = listedEvents()
  const answer = { text: 'looks good', tokens: { input: 7, output: 2 } }
  assert.equal(await auditModelCall(audit, call, async () => answer), answer)
  const [request, response] = audit.events
  assert.deepEqual(request?.details, { provider: 'example', model: 'small-1', prompt_bytes: 22 })
  assert.deepEqual(response?.details, {
    provider: 'example',
    model: 'small-1',
    response_bytes: 10,
    tokens: { input: 7, output: 2 },
  })
  assert.deepEqual([request?.outcome, response?.outcome], ['unknown', 'success'])
  assert.deepEqual([request?.correlation_id, response?.correlation_id], ['the correlation', 'the correlation'])
  assert.ok(!JSON.stringify(audit.events).match(/secret|looks good/))
})

test('a model that fails is recorded by the class of its error, and one that cannot be measured as answered', async () => {
  const audit = listedEvents()
  const failure = Object.assign(new Error('the prompt was: secret plan'), { status: 429 })
  await assert.rejects(
    auditModelCall(audit, call, () => Promise.reject(failure)),
    failure,
  )
  assert.deepEqual(audit.events[1]?.error, { class: 'rate_limit' })
  const measure = () => {
    throw new Error('no text')
  }
  await auditModelCall(audit, { ...call, measure }, async () => ({ text: '', tokens: { input: 0, output: 0 } }))
  assert.deepEqual([audit.events[3]?.outcome, audit.events[3]?.details?.unmeasured], ['success', true])
})
