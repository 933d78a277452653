/** Redaction of events, behaviour by behaviour as docs/redaction.md promises it. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AuditError } from '../../../src/errors.ts'
import type { JsonObject } from '../../../src/event/canonical.ts'
import { convertEvent, FilledEvent } from '../../../src/event/convert.ts'
import { encodeRecord } from '../../../src/event/record.ts'
import { compileRedaction } from '../../../src/policy/redact.ts'
import { contentRules } from '../../../src/policy/redaction/match.ts'
import { type RedactionOptions, redactionPresets } from '../../../src/policy/redaction/options.ts'
import { createPseudonyms } from '../../../src/policy/redaction/pseudonym.ts'
import { position } from '../../event/positions.ts'

const R = '[REDACTED]'
const pseudonymKey = 'a key of the tests, of no use'

function redact(event: Record<string, unknown>, options: RedactionOptions = {}) {
  const converted = convertEvent({ action: 'a', ...event })
  const redactions = compileRedaction(options).redact(converted)
  if (redactions.length > 0) converted.redactions = redactions
  const record: JsonObject = JSON.parse(encodeRecord(converted, position))
  return { record, redactions: redactions.map(({ rule, pointer, count }) => [rule, pointer, count]) }
}

describe('where content rules apply', () => {
  const token = 'AKIAIOSFODNN7EXAMPLE'
  const text = `see ${token}`
  const hidden = `see ${R}`

  it('are reasons, details, changes, error messages and codes, resource values and what else a request holds', () => {
    const event = convertEvent({
      action: 'a',
      reason: text,
      details: { a: [text, { b: text }] },
      changes: { note: { from: text, to: text } },
      error: Object.assign(new Error(text), { code: token }),
      request: { user_agent: text, headers: { referer: text } },
    })
    event.resource = { 'host.name': text }
    const receipts = compileRedaction().redact(event)
    assert.deepEqual(
      [event.reason, event.details, event.changes, event.error, event.request, event.resource],
      [
        hidden,
        { a: [hidden, { b: hidden }] },
        { note: { from: hidden, to: hidden } },
        { class: 'unknown', code: R, message: hidden },
        { headers: { referer: hidden }, user_agent: hidden },
        { 'host.name': hidden },
      ],
    )
    assert.deepEqual(
      receipts.map(({ pointer }) => pointer),
      [
        '/reason',
        '/changes/note/from',
        '/changes/note/to',
        '/details/a/0',
        '/details/a/1/b',
        '/error/code',
        '/error/message',
        '/request/headers/referer',
        '/request/user_agent',
        '/resource/host.name',
      ],
    )
  })

  it('are attributes that OpenTelemetry brought, which are details', () => {
    const event = convertEvent(new FilledEvent({ action: 'a' }, { 'http.url': text, details: { body: text } }))
    compileRedaction().redact(event)
    assert.deepEqual(event.details, { body: hidden, 'http.url': hidden })
  })

  it('are stack traces, whose places in the source stay', () => {
    const stack = 'Error: no pid=7\n    at run (/srv/app/x.ts:10:5)\n    at file:///srv/app/y.ts:3:1'
    const { record } = redact({ details: { stack } }, { preset: 'daemon' })
    assert.deepEqual(record.details, {
      stack: `Error: no pid=${R}\n    at run (/srv/${R}:10:5)\n    at file:///srv/${R}:3:1`,
    })
  })

  it('are not actor, target, source address, route and ids, unless they are named', () => {
    const given = {
      actor: { id: 'ann@example.com', name: text, type: 'user' },
      target: { id: '/srv/files/a/b', resource_type: 'file' },
      targets: [{ id: token, resource_type: 'key' }],
      request: { id: token, route: '/a/b/c', source_ip: '203.0.113.7' },
      session: token,
      tenant: token,
      correlation_id: token,
    }
    for (const preset of ['off', 'default'] as const) {
      const { record, redactions } = redact(given, { preset })
      for (const [name, value] of Object.entries(given)) assert.deepEqual(record[name], value, name)
      assert.deepEqual(redactions, [])
    }
    const named = redact(given, { keys: ['source_ip', 'tenant'], pointers: ['/actor/id', '/targets/*/id'] })
    assert.deepEqual((named.record.actor as JsonObject).id, R)
    assert.deepEqual((named.record.request as JsonObject).source_ip, R)
    assert.deepEqual(named.record.targets, [{ id: R, resource_type: 'key' }])
    assert.deepEqual(named.record.tenant, R)
  })

  it('are addresses there too with the preset daemon, and secrets as well with strict', () => {
    const given = {
      actor: { id: '203.0.113.7', name: text },
      request: { route: '/a/b/c', source_ip: '2001:db8::1' },
      target: { id: 'ann@example.com', name: 'pid=7' },
    }
    const daemon = redact(given, { preset: 'daemon' }).record
    assert.deepEqual(daemon.actor, { id: R, name: text })
    assert.deepEqual(daemon.request, { route: '/a/b/c', source_ip: R })
    assert.deepEqual(daemon.target, given.target)
    const strict = redact(given, { preset: 'strict' }).record
    assert.deepEqual(strict.actor, { id: R, name: hidden })
    assert.deepEqual(strict.target, given.target)
  })

  it('are whole numbers that are the number of a card', () => {
    const { record } = redact({ details: { a: 4111111111111111, b: 4111111111111112, c: 5, d: 1763825301123 } })
    assert.deepEqual(record.details, { a: R, b: 4111111111111112, c: 5, d: 1763825301123 })
  })

  it('never touch the class of an error or the action', () => {
    const { record } = redact({ action: '10.0.0.1', error: 'timeout' }, { preset: 'strict', keys: ['class', 'action'] })
    assert.deepEqual([record.action, record.error], ['10.0.0.1', { class: 'timeout' }])
  })
})

describe('keys that hold a secret', () => {
  it('are replaced like values, numbered when they become equal, and stand in no receipt', () => {
    const key = (name: string): string => `AKIAIOSFODNN7${name}`
    const details = { [key('EXAMPLA')]: 1, [key('EXAMPLB')]: { [key('EXAMPLC')]: 'AKIAIOSFODNN7EXAMPLD' }, z: 1 }
    const { record, redactions } = redact({ details })
    assert.deepEqual(record.details, { [R]: 1, [`${R}#2`]: { [R]: R }, z: 1 })
    assert.ok(!JSON.stringify(record).includes('AKIA'))
    assert.deepEqual(redactions, [
      ['cloud_key', `/details/${R}`, 1],
      ['cloud_key', `/details/${R}`, 1],
      ['cloud_key', `/details/${R}#2/${R}`, 1],
      ['cloud_key', `/details/${R}#2/${R}`, 1],
    ])
  })

  it('stand in no receipt of a pointer that led past them', () => {
    const details = { 'ann@example.com': { ssn: '1' } }
    const { redactions, record } = redact({ details }, { preset: 'strict', pointers: ['/details/*/ssn'] })
    assert.deepEqual(record.details, { [R]: { ssn: R } })
    assert.ok(!JSON.stringify(redactions).includes('ann@'))
  })
})

describe('pointers', () => {
  const details = { a: { ssn: '1', '*': 2, 'b/c': 3, 'd~e': 4 }, f: [{ ssn: '5' }, { ssn: '6' }], ssn: '7' }

  const rows: readonly (readonly [pointer: string, pointers: readonly string[]])[] = [
    ['/details/ssn', ['/details/ssn']],
    ['/details/*/ssn', ['/details/a/ssn']],
    ['/details/f/*/ssn', ['/details/f/0/ssn', '/details/f/1/ssn']],
    ['/details/f/1/ssn', ['/details/f/1/ssn']],
    ['/details/a/~2', ['/details/a/*']],
    ['/details/a/b~1c', ['/details/a/b~1c']],
    ['/details/a/d~0e', ['/details/a/d~0e']],
    ['/details/f/length', []],
    ['/details/A/ssn', []],
    ['/details/nothing/here', []],
  ]
  for (const [pointer, places] of rows) {
    it(`${pointer} hides ${places.join(' and ') || 'nothing'}`, () => {
      const { redactions } = redact({ details }, { preset: 'off', pointers: [pointer] })
      assert.deepEqual(
        redactions,
        places.map((place) => [`pointer:${pointer}`, place, 1]),
      )
    })
  }

  it('take members of the event out whole, as the record needs its objects to be objects', () => {
    const given = { details: { a: 1 }, target: { id: '1' }, targets: [{ id: '1' }], reason: 'r' }
    const { record } = redact(given, { pointers: ['/details', '/target', '/targets/*', '/reason'] })
    assert.deepEqual([record.details, record.target, record.targets, record.reason], [undefined, undefined, [{}], R])
  })

  it('keep the mode they were given, whatever content rules would do', () => {
    const pointers = [{ pointer: '/request/source_ip', mode: 'truncate' as const }]
    const { record } = redact({ request: { source_ip: '203.0.113.7' } }, { preset: 'strict', pointers })
    assert.deepEqual(record.request, { source_ip: '203.0.113.0/24' })
  })

  it('take an element out of a list without moving the others', () => {
    const options: RedactionOptions = { pointers: [{ pointer: '/details/l/1', mode: 'remove' }] }
    assert.deepEqual(redact({ details: { l: [1, 2, 3] } }, options).record.details, { l: [1, null, 3] })
  })
})

describe('modes', () => {
  it('remove, mask, truncate and pseudonymize by key name', () => {
    const options: RedactionOptions = {
      keys: ['iban', 'ip', 'user', 'note'],
      modes: { iban: 'truncate', ip: 'truncate', user: 'pseudonym', note: 'remove' },
      pseudonymKey,
    }
    const details = { iban: 'DE89370400440532013000', ip: '203.0.113.77', note: 'x', password: 'p', user: 'ann' }
    const { record, redactions } = redact({ details }, options)
    const { pseudonymOf } = createPseudonyms(pseudonymKey)
    assert.deepEqual(record.details, { iban: `DE89${R}`, ip: '203.0.113.0/24', password: R, user: pseudonymOf('ann') })
    assert.deepEqual(
      redactions.map(([rule]) => rule),
      ['key:iban', 'key:ip', 'key:note', 'key:password', 'key:user'],
    )
  })

  it('keep /24 of IPv4 and /48 of IPv6, ports too', () => {
    const options: RedactionOptions = { preset: 'daemon', modes: { ipv4: 'truncate', ipv6: 'truncate' } }
    const reason = '203.0.113.77:80 and [2001:db8:1:2::3]:443 and ::ffff:10.1.2.3'
    const { record } = redact({ reason }, options)
    assert.equal(record.reason, '203.0.113.0/24:80 and [2001:db8:1::/48]:443 and ::/48')
  })

  it('leave at most four characters and a quarter of anything else', () => {
    const options: RedactionOptions = { keys: ['k'], modes: { k: 'truncate' } }
    for (const [value, left] of [
      ['abcdefgh', 'ab'],
      ['abc', ''],
      ['x'.repeat(90), 'xxxx'],
      ['😀'.repeat(9), '😀😀😀😀'],
    ] as const) {
      assert.deepEqual(redact({ details: { k: value } }, options).record.details, { k: left + R })
    }
  })

  it('give every form of an address the same pseudonym, and every key another', () => {
    const { pseudonymOf, isOwn } = createPseudonyms(pseudonymKey)
    const one = pseudonymOf('2001:db8::1')
    for (const form of ['2001:DB8:0:0:0:0:0:1', '[2001:db8::1]', '2001:db8::0.0.0.1'])
      assert.equal(pseudonymOf(form), one)
    assert.match(one, /^pseudonym:[\w-]{27}$/)
    const other = createPseudonyms('another key of the tests')
    assert.notEqual(other.pseudonymOf('2001:db8::1'), one)
    assert.deepEqual([isOwn(one), other.isOwn(one), isOwn('pseudonym:x')], [true, false, false])
  })

  it('do not let a text pass that only looks like a pseudonym', () => {
    const forged = `pseudonym:${'ghp_'}${'a'.repeat(23)}`
    const options: RedactionOptions = { keys: ['k'], modes: { k: 'pseudonym' }, pseudonymKey }
    assert.notEqual((redact({ details: { k: forged } }, options).record.details as JsonObject).k, forged)
    assert.equal(redact({ reason: `pseudonym:sk_live_aaaaaaaaaaaaaaaaaaa` }, options).record.reason, `pseudonym:${R}`)
  })
})

describe('presets', () => {
  it('off hides nothing but what is named', () => {
    const given = { details: { password: 'p', x: 'AKIAIOSFODNN7EXAMPLE' }, reason: 'pid=1' }
    assert.deepEqual(redact(given, { preset: 'off' }).redactions, [])
    assert.deepEqual(compileRedaction({ preset: 'off' }).rules, [])
  })

  it('each hides what the narrower ones hide', () => {
    let before: readonly string[] = []
    for (const preset of redactionPresets) {
      const { rules } = compileRedaction({ preset })
      assert.deepEqual(
        before.filter((rule) => !rules.includes(rule)),
        [],
      )
      before = rules
    }
  })

  it('tell the hash of the policy everything that is in force', () => {
    const base = compileRedaction({ keys: ['k'] }).rules
    const variants: RedactionOptions[] = [
      { keys: ['k'], modes: { k: 'remove' } },
      { keys: ['k'], modes: { jwt: 'truncate' } },
      { keys: ['k'], pointers: ['/reason'] },
      { keys: ['k'], pointers: [{ pointer: '/reason', mode: 'remove' }] },
      { keys: ['k'], rules: [{ id: 'r', pattern: 'x' }] },
      { keys: ['k'], rules: [{ id: 'r', pattern: 'x', ignoreCase: true }] },
      { preset: 'strict', keys: ['k'] },
    ]
    const described = [base, ...variants.map((options) => compileRedaction(options).rules)].map((rules) => rules.join())
    assert.equal(new Set(described).size, described.length)
    assert.ok(!JSON.stringify(compileRedaction({ pseudonymKey }).rules).includes(pseudonymKey))
  })
})

describe('wrong options', () => {
  const rows: readonly (readonly [options: unknown, setting: string, message: RegExp])[] = [
    [{ preset: 'all' }, 'redact.preset', /"all"/],
    [{ keys: ['ok', ' - '] }, 'redact.keys[1]', /no name/],
    [{ pointers: ['details/x'] }, 'redact.pointers[0]', /begins with \//],
    [{ pointers: ['/details/~3'] }, 'redact.pointers[0]', /~ must be followed/],
    [{ pointers: ['/action'] }, 'redact.pointers[0]', /no member that may be redacted/],
    [{ pointers: ['/error/class'] }, 'redact.pointers[0]', /class of an error/],
    [{ pointers: [{ pointer: '/reason', mode: 'hash' }] }, 'redact.pointers[0]', /no mode "hash"/],
    [{ rules: [{ id: 'a b', pattern: 'x' }] }, 'redact.rules[0].id', /"a b"/],
    [{ rules: [{ id: 'ipv4', pattern: 'x' }] }, 'redact.rules[0].id', /another rule's/],
    [
      {
        rules: [
          { id: 'r', pattern: 'x' },
          { id: 'r', pattern: 'y' },
        ],
      },
      'redact.rules[1].id',
      /another rule's/,
    ],
    [{ rules: [{ id: 'r', pattern: '(a+)+' }] }, 'redact.rules[0].pattern', /refused/],
    [{ rules: [{ id: 'r', pattern: 'x', mode: 'hash' }] }, 'redact.rules[0].mode', /"hash"/],
    [{ modes: { ipv5: 'mask' } }, 'redact.modes.ipv5', /names no key and no rule/],
    [{ modes: { ipv4: 'hash' } }, 'redact.modes.ipv4', /"hash"/],
    [{ modes: { email: 'pseudonym' } }, 'redact.pseudonymKey', /missing/],
    [{ pointers: [{ pointer: '/reason', mode: 'pseudonym' }] }, 'redact.pseudonymKey', /missing/],
    [{ pseudonymKey: 'short' }, 'redact.pseudonymKey', /5 characters, at least 16/],
  ]
  for (const [options, setting, message] of rows) {
    it(`are refused naming ${setting}: ${JSON.stringify(options).slice(0, 60)}`, () => {
      assert.throws(
        () => compileRedaction(options as RedactionOptions),
        (thrown) => {
          assert.ok(thrown instanceof AuditError && thrown.code === 'INVALID_OPTION' && thrown.hint.length > 10)
          assert.equal(thrown.setting, setting)
          assert.match(thrown.message, message)
          assert.ok(thrown.message.startsWith(setting), thrown.message)
          return true
        },
      )
    })
  }

  it('every content rule may be given a mode in every preset', () => {
    const modes = Object.fromEntries(contentRules.map((rule) => [rule, 'remove' as const]))
    for (const preset of redactionPresets) compileRedaction({ preset, modes })
  })
})
