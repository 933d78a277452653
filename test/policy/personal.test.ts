/** Personal values: they leave the event whatever becomes of them, and the record commits to them under its subject. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { JsonObject } from '../../src/event/canonical.ts'
import { commitmentTo, readDisclosure } from '../../src/event/commit.ts'
import { convertEvent } from '../../src/event/convert.ts'
import type { ConvertedEvent } from '../../src/event/converted-event.ts'
import { encodeRecord, type Position } from '../../src/event/record.ts'
import { recordBytesMax } from '../../src/limits.ts'
import { compileRedaction } from '../../src/policy/redact.ts'
import type { RedactionOptions } from '../../src/policy/redaction/options.ts'
import { createPseudonyms } from '../../src/policy/redaction/pseudonym.ts'

const pseudonymKey = 'a key of this test only'
const { pseudonymOf } = createPseudonyms(pseudonymKey)

function take(input: object, options: RedactionOptions): { event: ConvertedEvent; receipts: readonly JsonObject[] } {
  const event = convertEvent({ action: 'a.b', ...input })
  return { event, receipts: compileRedaction({ pseudonymKey, ...options }).redact(event) }
}

/** What is disclosed, by pointer: the value and the pseudonym it is filed under. */
function disclosedOf({ disclosures }: ConvertedEvent): Record<string, readonly [unknown, string]> {
  const list = (disclosures?.list ?? []).map(({ subject, text }) => ({ subject, ...readDisclosure(text) }))
  return Object.fromEntries(list.map(({ pointer = '', value, subject }) => [pointer, [value, subject]]))
}

const place: Position = {
  stream: '00000000-0000-0000-0000-000000000000',
  sequence: 1,
  previousHash: '0'.repeat(64),
  epoch: 1,
  recorded: '2026-11-22T12:00:00.000000000Z',
  id: '00000000-0000-0000-0000-000000000000',
}

describe('a personal value', () => {
  it('leaves the record, which commits to it under the pseudonym of its subject', () => {
    const { event, receipts } = take(
      { actor: { type: 'user', id: 'u-1', name: 'Ann' }, details: { note: 'kept' } },
      { personal: ['/actor/name'] },
    )
    const [one] = event.disclosures?.list ?? []
    assert.deepEqual(disclosedOf(event), { '/actor/name': ['Ann', pseudonymOf('u-1')] })
    assert.deepEqual(event.commitments, { '/actor/name': commitmentTo(one?.text ?? '') })
    const record = encodeRecord(event, place)
    assert.ok(!record.includes('Ann'))
    assert.match(record, /"clock"|"commitments":\{"\/actor\/name":"[\w-]{43}"\},/)
    assert.deepEqual(receipts, [])
  })

  it('belongs to whom its subject names, in each target another', () => {
    const targets = ['t-1', 't-2'].map((id, at) => ({ resource_type: 'user', id, name: `name ${at}` }))
    const { event } = take({ targets }, { personal: [{ pointer: '/targets/*/name', subject: '/targets/*/id' }] })
    assert.deepEqual(disclosedOf(event), {
      '/targets/0/name': ['name 0', pseudonymOf('t-1')],
      '/targets/1/name': ['name 1', pseudonymOf('t-2')],
    })
    assert.deepEqual(
      event.targets?.map(({ id }) => id),
      ['t-1', 't-2'],
    )
  })

  it('belongs to nobody known where the event does not say whose it is', () => {
    const { event } = take({ reason: 'because' }, { personal: ['/reason'] })
    assert.deepEqual(disclosedOf(event), { '/reason': ['because', pseudonymOf('unknown')] })
  })

  it('may be the subject itself, an object, or all of a member', () => {
    const actor = { type: 'user', id: 'u-1', name: 'Ann' }
    const { event } = take({ actor, details: { a: { b: ['c'] } } }, { personal: ['/actor', '/details/a'] })
    assert.deepEqual(disclosedOf(event), {
      '/actor': [actor, pseudonymOf('u-1')],
      '/details/a': [{ b: ['c'] }, pseudonymOf('u-1')],
    })
    assert.deepEqual([event.actor, event.details], [undefined, {}])
  })

  it('has the pseudonym that redaction has put in the place of its subject', () => {
    const input = { actor: { type: 'user', id: pseudonymOf('u-1'), name: 'Ann' } }
    assert.deepEqual(disclosedOf(take(input, { personal: ['/actor/name'] }).event)['/actor/name'], [
      'Ann',
      pseudonymOf('u-1'),
    ])
  })

  it('keeps what identifies a person, and no secret', () => {
    const text = 'ann@example.org from 192.0.2.7 with Bearer abcdefghijklmnopqrstuvwxyz0123456789'
    for (const preset of ['default', 'strict'] as const) {
      const { event, receipts } = take(
        { details: { email: text, password: 'hunter2' } },
        { preset, personal: ['/details/*'] },
      )
      const { '/details/email': email, '/details/password': password } = disclosedOf(event)
      assert.equal(email?.[0], 'ann@example.org from 192.0.2.7 with Bearer [REDACTED]')
      assert.equal(password?.[0], '[REDACTED]')
      assert.deepEqual(receipts.map(({ rule }) => rule).sort(), ['bearer', 'key:password'])
    }
  })

  it('shows in no pointer either, where its key was not written by an operator', () => {
    const { event } = take({ details: { 'ann@example.org': 1 } }, { preset: 'strict', personal: ['/details/*'] })
    assert.deepEqual(Object.keys(event.commitments ?? {}), ['/details/[REDACTED]'])
  })

  it('is taken out and said to be gone, where there is no room for it', () => {
    const many = Object.fromEntries(Array.from({ length: 80 }, (_, at) => [`k${at}`, `value ${at}`]))
    const { event, receipts } = take(
      { details: { many, large: 'x'.repeat(70_000) } },
      { personal: ['/details/many/*', '/details/large'] },
    )
    assert.equal(Object.keys(event.commitments ?? {}).length, 64)
    assert.deepEqual(event.details, { many: {} })
    const lost = receipts.filter(({ rule }) => rule === 'personal:beyond-limit')
    assert.equal(
      lost.reduce((sum, { count }) => sum + Number(count), 0),
      17,
    )
  })

  it('never stands in the record, whatever the event is, and the record fits', () => {
    const value = fc.string({ minLength: 1 }).map((text) => `«${text}»`)
    const holder = fc.dictionary(fc.string(), fc.oneof(value, fc.dictionary(fc.string(), value)))
    fc.assert(
      fc.property(holder, fc.constantFrom('off', 'default', 'daemon', 'strict'), (details, preset) => {
        const { event } = take(
          { details, actor: { type: 'user', id: 'u', name: '«Ann»' } },
          { preset, personal: ['/details/*', '/actor/name'] },
        )
        const record = encodeRecord(event, place)
        assert.ok(!record.includes('«'), record)
        assert.ok(Buffer.byteLength(record) <= recordBytesMax)
      }),
      { numRuns: 200 },
    )
  })

  it('leaves a record that fits beside the longest of everything else', () => {
    const long = (length: number) => 'é'.repeat(length)
    const many = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`${long(170)}${at}`, 'x']))
    const request = {
      id: long(900),
      source_ip: long(900),
      user_agent: long(2_000),
      method: long(900),
      route: long(900),
    }
    const input = {
      details: { many, more: long(60_000) },
      reason: long(9_000),
      request,
      actor: { type: 'user', id: long(900), name: long(900) },
      target: { resource_type: long(900), id: long(900) },
      tenant: long(900),
      session: long(900),
      error: { class: 'timeout', message: long(9_000) },
    }
    const { event } = take(input, { personal: ['/details/many/*'] })
    assert.equal(Object.keys(event.commitments ?? {}).length, 64)
    assert.ok(Buffer.byteLength(encodeRecord(event, place)) <= recordBytesMax)
  })
})

describe('redact.personal', () => {
  it('does nothing where nothing is personal', () => {
    const plain = compileRedaction({ pseudonymKey })
    assert.deepEqual(compileRedaction({ pseudonymKey, personal: [] }).rules, plain.rules)
    const event = convertEvent({ action: 'a.b', actor: { type: 'user', id: 'u', name: 'Ann' } })
    plain.redact(event)
    assert.deepEqual([event.commitments, event.disclosures], [undefined, undefined])
  })

  it('is a part of what the policy hash stands for', () => {
    const { rules } = compileRedaction({ pseudonymKey, personal: ['/actor/name'] })
    assert.ok(rules.includes('personal:/actor/name of /actor/id'))
  })

  it('refuses what cannot be meant, and says which setting', () => {
    const refused: [unknown, RegExp][] = [
      ['actor/name', /redact\.personal\[0\] is "actor\/name": a JSON pointer begins with \//],
      ['/action', /redact\.personal\[0\] .* names no member/],
      ['/correlation_id', /redact\.personal\[0\] .* cannot be taken out/],
      ['/resource/host.name', /redact\.personal\[0\] .* cannot be taken out/],
      [{ pointer: '/details/name', subject: '/targets/*/id' }, /redact\.personal\[0\]\.subject .* whom does \* mean/],
      [{ pointer: '/details/name', subject: 'id' }, /redact\.personal\[0\]\.subject/],
    ]
    for (const [pointer, message] of refused) {
      assert.throws(() => compileRedaction({ pseudonymKey, personal: [pointer as string] }), message)
    }
    assert.throws(
      () => compileRedaction({ personal: ['/actor/name'] }),
      /redact\.pseudonymKey is missing, and redact\.personal needs it/,
    )
  })
})
