import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { useClocks } from '../../src/clock.ts'
import { parseSecrets, signWebhook, verifyWebhook } from '../../src/destination/webhook.ts'
import { AuditError } from '../../src/errors.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const otherSecret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const body = Buffer.from('[{"action":"naïve.act"}]')
const head = { id: 'stream_1_3_abc', timestamp: 1_795_000_000 }

function at(t: TestContext, seconds: number): void {
  t.after(useClocks({ wallMs: () => seconds * 1_000 + 999 }))
}

function headersOf(secrets: readonly string[]): Record<string, string> {
  return {
    'webhook-id': head.id,
    'webhook-timestamp': String(head.timestamp),
    'webhook-signature': signWebhook(body, head, parseSecrets(secrets, 'secret')),
  }
}

test('a signature is the one that the library of Standard Webhooks makes', () => {
  const made = new Webhook(secret).sign(head.id, new Date(head.timestamp * 1_000), body.toString())
  assert.equal(headersOf([secret])['webhook-signature'], made)
})

test('a signed body is valid, from headers of fetch and of Node, as text and as bytes', (t) => {
  at(t, head.timestamp)
  const headers = headersOf([secret])
  for (const [given, form] of [
    [body, headers],
    [body.toString(), headers],
    [body, new Headers(headers)],
  ] as const)
    assert.deepEqual(verifyWebhook(given, form, { secrets: secret }), { valid: true, ...head })
})

test('one of several signatures and one of several secrets are enough', (t) => {
  at(t, head.timestamp)
  assert.equal(verifyWebhook(body, headersOf([otherSecret, secret]), { secrets: secret }).valid, true)
  assert.equal(verifyWebhook(body, headersOf([secret]), { secrets: [otherSecret, secret] }).valid, true)
})

test('a changed bit anywhere is a bad signature', (t) => {
  at(t, head.timestamp)
  const headers = headersOf([secret])
  for (let bit = 0; bit < body.length * 8; bit++) {
    const changed = Buffer.from(body)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.deepEqual(verifyWebhook(changed, headers, { secrets: secret }), { valid: false, reason: 'bad_signature' })
  }
  for (const change of [{ 'webhook-id': 'stream_1_4_abc' }, { 'webhook-timestamp': String(head.timestamp + 1) }])
    assert.deepEqual(verifyWebhook(body, { ...headers, ...change }, { secrets: secret }), {
      valid: false,
      reason: 'bad_signature',
    })
})

test('what lacks a header, is no signature, or comes from another time is told apart', (t) => {
  at(t, head.timestamp)
  const headers = headersOf([secret])
  const reasonOf = (change: Record<string, string | undefined>) => {
    const check = verifyWebhook(body, { ...headers, ...change }, { secrets: secret })
    return check.valid ? 'valid' : check.reason
  }
  for (const name of Object.keys(headers)) assert.equal(reasonOf({ [name]: undefined }), 'missing', name)
  assert.equal(reasonOf({ 'webhook-timestamp': 'soon' }), 'malformed')
  assert.equal(reasonOf({ 'webhook-signature': 'v2,abc' }), 'malformed')
  assert.equal(reasonOf({ 'webhook-signature': 'v1,abc' }), 'bad_signature')
  assert.equal(reasonOf({ 'webhook-timestamp': String(head.timestamp - 301) }), 'stale')
  assert.equal(reasonOf({ 'webhook-timestamp': String(head.timestamp + 301) }), 'future')
})

test('the tolerance is a matter of the receiver', (t) => {
  at(t, head.timestamp + 10)
  const headers = headersOf([secret])
  const check = (toleranceSeconds: number) => verifyWebhook(body, headers, { secrets: secret, toleranceSeconds }).valid
  assert.deepEqual([check(10), check(9)], [true, false])
})

test('a secret that is none is the mistake of the receiver', () => {
  assert.throws(() => verifyWebhook(body, headersOf([secret]), { secrets: 'hunter2' }), AuditError)
})
