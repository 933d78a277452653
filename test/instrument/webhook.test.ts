import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { useClocks } from '../../src/clock.ts'
import { auditWebhooks, type WebhookRequest } from '../../src/instrument/webhook.ts'
import type { WebhookScheme } from '../../src/instrument/webhook-schemes.ts'
import { listedEvents } from './listed-events.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
useClocks({ wallMs: () => now })
const body = '{"object_kind":"note","text":"deploy it"}'
const secret = 'the secret of the sender'
const standardSecret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const hmac = (key: string | Buffer, text: string, form: 'hex' | 'base64' = 'hex') =>
  createHmac('sha256', key).update(text).digest(form)

/** The headers of a valid request of each sender, signed `ageSeconds` ago. */
const senders: Readonly<Record<WebhookScheme, (key: string, ageSeconds: number) => Record<string, string>>> = {
  github: (key) => ({ 'x-hub-signature-256': `sha256=${hmac(key, body)}`, 'x-github-event': 'issue_comment' }),
  gitlab: (key) => ({ 'x-gitlab-token': key, 'x-gitlab-event': 'Note Hook', 'x-gitlab-event-uuid': 'e-1' }),
  stripe: (key, age) => {
    const t = now / 1_000 - age
    return { 'stripe-signature': `t=${t},v1=${'0'.repeat(64)},v1=${hmac(key, `${t}.${body}`)}` }
  },
  slack: (key, age) => {
    const t = now / 1_000 - age
    return { 'x-slack-request-timestamp': `${t}`, 'x-slack-signature': `v0=${hmac(key, `v0:${t}:${body}`)}` }
  },
  'standard-webhooks': (key, age) => {
    const t = now / 1_000 - age
    const signature = hmac(Buffer.from(key.slice('whsec_'.length), 'base64'), `msg_1.${t}.${body}`, 'base64')
    return { 'webhook-id': 'msg_1', 'webhook-timestamp': `${t}`, 'webhook-signature': `v1,AAAA v1,${signature}` }
  },
}

function secretOf(scheme: WebhookScheme): string {
  return scheme === 'standard-webhooks' ? standardSecret : secret
}

for (const scheme of Object.keys(senders) as WebhookScheme[]) {
  describe(`a webhook of ${scheme}`, () => {
    const key = secretOf(scheme)
    const headers = senders[scheme](key, 0)
    const isTimed = !['github', 'gitlab'].includes(scheme)

    it('is accepted with any of several keys, and recorded as a success', () => {
      const audit = listedEvents()
      const other = scheme === 'standard-webhooks' ? `whsec_${Buffer.alloc(32, 8).toString('base64')}` : 'another'
      const authenticate = auditWebhooks(audit, { scheme, keys: [other, key] })
      assert.equal(authenticate({ body, headers, sourceIp: '203.0.113.9' }).accepted, true)
      const [event] = audit.events
      assert.deepEqual(
        [event?.action, event?.outcome, event?.request],
        ['webhook.authenticate', 'success', { source_ip: '203.0.113.9' }],
      )
      assert.equal(event?.details?.hmac, 'valid')
    })

    const refused: readonly (readonly [reason: string, request: WebhookRequest])[] = [
      ['missing', { body, headers: {} }],
      ['bad_signature', { body: scheme === 'gitlab' ? body : `${body} `, headers: senders[scheme](wrong(key), 0) }],
      ...(scheme === 'gitlab' ? [] : ([['malformed', { body, headers: damaged(headers) }]] as const)),
      ...(isTimed
        ? ([
            ['stale', { body, headers: senders[scheme](key, 301) }],
            ['future', { body, headers: senders[scheme](key, -301) }],
          ] as const)
        : []),
    ]
    for (const [reason, request] of refused) {
      it(`is refused as ${reason}, and recorded as denied without body or signature`, () => {
        const audit = listedEvents()
        assert.deepEqual(auditWebhooks(audit, { scheme, keys: [key] })(request), { accepted: false, reason })
        const [event] = audit.events
        assert.deepEqual([event?.outcome, event?.reason, event?.details?.rejection_reason], ['denied', reason, reason])
        const text = JSON.stringify(event)
        for (const hidden of [
          key,
          'deploy it',
          ...Object.values(request.headers).filter((one) => `${one}`.length > 30),
        ])
          assert.ok(!text.includes(String(hidden)), `${hidden} stands in ${text}`)
      })
    }

    it('is a replay when the same signed bytes come again, and none when they are signed anew', () => {
      const audit = listedEvents()
      const authenticate = auditWebhooks(audit, { scheme, keys: [key] })
      assert.equal(authenticate({ body, headers }).accepted, true)
      assert.deepEqual(authenticate({ body, headers }), { accepted: false, reason: 'replayed' })
      if (isTimed) assert.equal(authenticate({ body, headers: senders[scheme](key, 1) }).accepted, true)
      assert.equal(audit.events[1]?.details?.hmac, 'valid')
    })
  })
}

it('a webhook that names a key we do not have is refused as such; one that names ours is judged by it', () => {
  const audit = listedEvents()
  const keyName = ({ headers }: WebhookRequest) => (headers as Record<string, string>)['x-key-name']
  const authenticate = auditWebhooks(audit, { scheme: 'github', keys: { a: secret, b: 'other' }, keyName })
  const signed = senders.github(secret, 0)
  assert.deepEqual(authenticate({ body, headers: { ...signed, 'x-key-name': 'c' } }), {
    accepted: false,
    reason: 'unknown_key',
  })
  assert.equal(authenticate({ body, headers: { ...signed, 'x-key-name': '__proto__' } }).accepted, false)
  assert.deepEqual(authenticate({ body, headers: { ...signed, 'x-key-name': 'b' } }), {
    accepted: false,
    reason: 'bad_signature',
  })
  assert.equal(authenticate({ body, headers: { ...signed, 'x-key-name': 'a' } }).accepted, true)
})

it('no keys are refused at once, with what to do', () => {
  assert.throws(() => auditWebhooks(listedEvents(), { scheme: 'github', keys: [''] }), {
    code: 'INVALID_OPTION',
    setting: 'keys',
  })
})

function wrong(key: string): string {
  return key.startsWith('whsec_') ? `whsec_${Buffer.alloc(32, 9).toString('base64')}` : 'not the secret'
}

function damaged(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, /signature/.test(name) ? 'x' : value]),
  )
}
