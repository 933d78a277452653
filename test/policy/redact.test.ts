import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { canonicalize } from '../../src/event/canonical.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { encodeRecord } from '../../src/event/record.ts'
import { receiptsMax, receiptsPerRuleMax } from '../../src/limits.ts'
import { compileRedaction } from '../../src/policy/redact.ts'
import { normalizeKey, secretKeys } from '../../src/policy/redaction/keys.ts'
import { redactedText } from '../../src/policy/redaction/modes.ts'
import { hostileEvent } from '../event/arbitraries.ts'
import { position } from '../event/positions.ts'

const redaction = compileRedaction()
const secret = 'planted-5ecret'

function redact(event: Record<string, unknown>, using = redaction) {
  const converted = convertEvent({ action: 'a', ...event })
  const receipts = using.redact(converted)
  return { event: converted, receipts, text: encodeRecord(converted, position) }
}

describe('redaction by key', () => {
  for (const key of [
    'password',
    'PASSWORD',
    'Api-Key',
    'apiKey',
    'api_key',
    'X-API-Key',
    'Set-Cookie',
    'client secret',
    'user.password',
    'http.request.header.authorization',
  ]) {
    it(`hides ${key}`, () => {
      const { event, receipts } = redact({ details: { [key]: secret } })
      assert.deepEqual(event.details, { [key]: redactedText })
      assert.deepEqual(
        receipts.map(({ count, pointer }) => [count, pointer]),
        [[1, `/details/${key}`]],
      )
    })
  }

  it('hides every name of its list', () => {
    for (const key of secretKeys) {
      assert.equal(normalizeKey(key), key, 'listed in normal form')
      assert.deepEqual(redact({ details: { [key]: secret } }).receipts, [
        { count: 1, pointer: `/details/${key}`, rule: `key:${key}` },
      ])
    }
  })

  it('leaves other names alone', () => {
    const details = {
      tokens: 5,
      passwords_changed: 1,
      secretary: 'Ann',
      cookies_accepted: true,
      authorized: true,
      key: 'k',
    }
    const { event, receipts } = redact({ details })
    assert.deepEqual(event.details, details)
    assert.deepEqual(receipts, [])
  })

  it('hides whole values of any kind', () => {
    for (const value of [secret, 5, null, true, [secret], { a: { b: secret } }]) {
      assert.deepEqual(redact({ details: { token: value } }).event.details, { token: redactedText })
    }
  })

  it('searches the whole event, at any depth', () => {
    const { text, receipts } = redact({
      actor: { id: 'u', token: secret },
      target: { id: 't', credentials: { user: 'u', password: secret } },
      targets: [{ id: '1' }, { id: '2', cookie: secret }],
      request: { headers: { authorization: secret } },
      error: { class: 'timeout', jwt: secret },
      changes: { password: { from: secret, to: secret } },
      details: { a: [{ 'b/c': { secret } }], map: new Map([['pwd', secret]]) },
      client_secret: secret,
    })
    assert.ok(!text.includes(secret))
    assert.deepEqual(
      receipts.map(({ pointer, rule }) => [pointer, rule]),
      [
        ['/actor/token', 'key:token'],
        ['/changes/password', 'key:password'],
        ['/details/a/0/b~1c/secret', 'key:secret'],
        ['/details/client_secret', 'key:clientsecret'],
        ['/details/map/pwd', 'key:pwd'],
        ['/error/jwt', 'key:jwt'],
        ['/request/headers/authorization', 'key:authorization'],
        ['/target/credentials', 'key:credentials'],
        ['/targets/1/cookie', 'key:cookie'],
      ],
    )
  })

  it('hides keys that conversion had to number', () => {
    const { text, receipts } = redact({
      details: new Map([
        ['token', secret],
        ['token\ud800', 'x'],
      ]),
      token: secret,
    })
    assert.ok(!text.includes(secret))
    assert.deepEqual(
      receipts.map(({ pointer }) => pointer),
      ['/details/token', '/details/token#2'],
    )
  })

  it('hides further names, also members of the event itself', () => {
    const { event, receipts } = redact(
      { tenant: 'acme', details: { card_no: 5, password: 'p' } },
      compileRedaction({ keys: ['Tenant', 'cardNo'] }),
    )
    assert.deepEqual([event.tenant, event.details], [redactedText, { card_no: redactedText, password: redactedText }])
    assert.deepEqual(
      receipts.map(({ rule }) => rule),
      ['key:tenant', 'key:cardno', 'key:password'],
    )
  })

  it('can be switched off but for the names given', () => {
    const { event } = redact(
      { details: { password: 'p', iban: 'i' } },
      compileRedaction({ preset: 'off', keys: ['iban'] }),
    )
    assert.deepEqual(event.details, { iban: redactedText, password: 'p' })
    assert.deepEqual(compileRedaction({ preset: 'off' }).rules, [])
  })

  it('names a few places by rule and adds up the rest', () => {
    const details = Object.fromEntries(
      Array.from({ length: 900 }, (_, index) => [`k${index}`, { token: secret, password: secret, cookie: secret }]),
    )
    const { receipts, text } = redact({ details })
    const named = receipts.filter(({ pointer }) => pointer !== '')
    assert.equal(named.length, receiptsMax)
    assert.ok(named.every(({ rule }) => named.filter((other) => other.rule === rule).length <= receiptsPerRuleMax))
    const total = (rule: string) =>
      receipts.filter((receipt) => receipt.rule === rule).reduce((sum, { count }) => sum + count, 0)
    assert.deepEqual([total('key:token'), total('key:password'), total('key:cookie')], [900, 900, 900])
    assert.ok(!text.includes(secret))
  })

  it('leaves room for the places of other rules', () => {
    const tokens = Array.from({ length: 900 }, () => ({ token: secret }))
    const { receipts } = redact({ details: { tokens, z: { password: secret } } })
    assert.equal(receipts.length, receiptsPerRuleMax + 2)
    assert.deepEqual(receipts.slice(-2), [
      { count: 1, pointer: '/details/z/password', rule: 'key:password' },
      { count: 900 - receiptsPerRuleMax, pointer: '', rule: 'key:token' },
    ])
  })

  it('does not repeat very long places', () => {
    const { receipts } = redact({ details: { ['k'.repeat(300)]: { token: secret } } })
    assert.deepEqual(receipts, [{ count: 1, pointer: '', rule: 'key:token' }])
  })

  it('a second pass finds nothing, and changes nothing, whatever the event', () => {
    fc.assert(
      fc.property(hostileEvent, (make) => {
        const event = convertEvent(make())
        event.redactions = redaction.redact(event)
        const text = encodeRecord(event, position)
        assert.deepEqual(redaction.redact(event), [])
        assert.equal(encodeRecord(event, position), text)
        assert.equal(canonicalize(JSON.parse(text)), text)
      }),
      { numRuns: 200 },
    )
  })

  it('is not slowed or filled by keys that are made of data', () => {
    for (let index = 0; index < 10_000; index++) redact({ details: { [`k${index}`]: 1, password: secret } })
    assert.deepEqual(redact({ details: { password: secret } }).event.details, { password: redactedText })
  })
})
