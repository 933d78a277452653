import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { convertEvent } from '../../src/event/convert.ts'
import { encodeRecord } from '../../src/event/record.ts'
import { containerKeysMax, depthMax, validationsMax } from '../../src/limits.ts'
import { position } from './positions.ts'

/** What of an event reaches the record, as a reader parses it. */
function sealed(event: unknown): Record<string, unknown> {
  return JSON.parse(encodeRecord(convertEvent(event), position))
}

const detailOf = (value: unknown): unknown =>
  (sealed({ action: 'a', details: { value } }).details as { value: unknown } | undefined)?.value

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const throwing = (): never => {
  throw new Error('unreadable')
}
const revoked = (): unknown => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
const circle: Record<string, unknown> = { a: 1 }
circle.self = circle
const detached = new Uint8Array(8)
structuredClone(detached, { transfer: [detached.buffer] })

describe('a value in details', () => {
  class Invoice {
    id = 7
    #hidden = 1
    get total(): number {
      return this.#hidden
    }
    toJSON(): string {
      return 'never called'
    }
  }
  const rows: readonly (readonly [string, unknown, unknown])[] = [
    ['undefined is absent', undefined, undefined],
    ['a function is absent', () => 1, undefined],
    ['a symbol is absent', Symbol('s'), undefined],
    ['null stays', null, null],
    ['in an array, what has no form is null', [undefined, () => 1, Symbol('s'), 1], [null, null, null, 1]],
    ['a hole in an array is null', Object.assign(new Array(3), { 0: 1, 2: 3 }), [1, null, 3]],
    ['a bigint is a decimal string', 12n, '12'],
    ['a large bigint too', -(2n ** 70n), '-1180591620717411303424'],
    ['an enormous bigint is counted', 2n ** 8_192n, { bytes: 1024, trimmed: true }],
    ['2^53 stays a number', 2 ** 53, 9007199254740992],
    ['an integer beyond it is a decimal string', 2 ** 53 + 2, '9007199254740994'],
    ['also a huge one', -1e21, '-1000000000000000000000'],
    ['NaN is null', Number.NaN, null],
    ['an infinity is null', Number.NEGATIVE_INFINITY, null],
    ['a fraction stays', 0.1, 0.1],
    ['a date is RFC 3339', new Date(1_700_000_000_123), '2023-11-14T22:13:20.123000000Z'],
    ['an invalid date is null', new Date(Number.NaN), null],
    ['a year that RFC 3339 lacks is null', new Date(8.64e15), null],
    [
      'a date that lies about itself is read all the same',
      Object.assign(new Date(0), { getTime: throwing }),
      '1970-01-01T00:00:00.000000000Z',
    ],
    ['a short buffer is base64', Buffer.from('hi'), { base64: 'aGk=' }],
    ['256 bytes are still base64', new Uint8Array(256), { base64: Buffer.alloc(256).toString('base64') }],
    ['more are a digest', new Uint8Array(257), { bytes: 257, sha256: sha256(new Uint8Array(257)) }],
    ['a typed array is its bytes', new Uint16Array([1]), { base64: 'AQA=' }],
    ['a view is its part of the buffer', new DataView(new ArrayBuffer(9), 4, 2), { base64: 'AAA=' }],
    ['an array buffer is its bytes', new ArrayBuffer(3), { base64: 'AAAA' }],
    ['a detached view is unreadable', detached, { unreadable: true }],
    [
      'a map is an object',
      new Map<unknown, unknown>([
        ['b', 1],
        ['a', { c: 2 }],
      ]),
      { a: { c: 2 }, b: 1 },
    ],
    [
      'map keys that become equal are numbered',
      new Map<unknown, unknown>([
        [1, 'x'],
        ['1', 'y'],
        [1n, 'z'],
      ]),
      { 1: 'x', '1#2': 'y', '1#3': 'z' },
    ],
    [
      'map keys that are objects have a name',
      new Map<unknown, unknown>([
        [{}, 1],
        [[], 2],
        [new Date(0), 3],
        [Symbol('s'), 4],
        [null, 5],
      ]),
      { '1970-01-01T00:00:00.000000000Z': 3, null: 5, object: 1, 'object#2': 2, symbol: 4 },
    ],
    ['a set is an array', new Set([3, 1]), [3, 1]],
    ['an error is its name and message', new TypeError('no'), { class: 'TypeError', message: 'no' }],
    [
      'an error with odd members keeps its form',
      Object.assign(new Error('m'), { name: 5 }),
      { class: 'Error', message: 'm' },
    ],
    ['a class instance is its own enumerable members', new Invoice(), { id: 7 }],
    [
      'inherited members are not taken',
      Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true } }),
      { own: 2 },
    ],
    ['toJSON is not called', { a: 1, toJSON: throwing }, { a: 1 }],
    ['symbol keys are not taken', { a: 1, [Symbol('s')]: 2 }, { a: 1 }],
    ['a null prototype is no obstacle', Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    ['a lone surrogate is replaced', 'a\ud800b', 'a\ufffdb'],
    ['also in a key', { 'k\udc00': 1 }, { 'k\ufffd': 1 }],
    [
      'keys that become equal by it are numbered',
      { '\ud800': 1, '\udc00': 2, '\ufffd': 3 },
      { '\ufffd': 1, '\ufffd#2': 2, '\ufffd#3': 3 },
    ],
    [
      'keys that JavaScript would call its own are keys',
      JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":3}'),
      JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":3}'),
    ],
    [
      'a getter that throws is said to be unreadable',
      {
        get a() {
          return throwing()
        },
        b: 2,
      },
      { a: { unreadable: true }, b: 2 },
    ],
    ['a revoked proxy too', revoked(), { unreadable: true }],
    ['a proxy that hides its keys too', new Proxy({}, { ownKeys: throwing }), { unreadable: true }],
    ['a proxy that plays along is read', new Proxy({ a: 1 }, {}), { a: 1 }],
    ['a cycle is marked where it closes', circle, { a: 1, self: { truncated: 'cycle' } }],
    ['what is shared but no cycle is kept twice', ((shared) => [shared, shared])({ a: 1 }), [{ a: 1 }, { a: 1 }]],
    ['an empty object stays', {}, {}],
    ['an empty array stays', [], []],
  ]
  for (const [name, value, expected] of rows) {
    it(name, () => assert.deepEqual(detailOf(value), expected))
  }

  it('negative zero is zero', () => {
    const { details } = convertEvent({ action: 'a', details: { value: -0 } })
    assert.ok(Object.is(details?.value, 0))
  })

  it('what lies deeper than the limit is marked', () => {
    const nest = (levels: number): unknown => (levels === 0 ? {} : { in: nest(levels - 1) })
    const open = (value: unknown, levels: number): unknown =>
      levels === 0 ? value : open((value as { in: unknown }).in, levels - 1)
    // The event is depth 0, details 1, this value 2.
    assert.deepEqual(open(detailOf(nest(depthMax)), depthMax - 2), { in: { truncated: 'depth' } })
    assert.deepEqual(detailOf(nest(depthMax - 2)), nest(depthMax - 2))
  })

  it('keys beyond the limit are counted', () => {
    const count = containerKeysMax + 5
    const wide = Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 1]))
    const converted = detailOf(wide) as Record<string, unknown>
    assert.equal(Object.keys(converted).length, containerKeysMax + 1)
    assert.deepEqual(converted['…'], { count: 5, truncated: 'keys' })
    assert.deepEqual(detailOf(new Map(Object.entries(wide))), converted)
  })

  it('elements beyond the limit are counted, also those a sparse array does not have', () => {
    const converted = detailOf(new Array(4_294_967_295)) as unknown[]
    assert.equal(converted.length, containerKeysMax + 1)
    assert.deepEqual(converted.at(-1), { count: 4_294_967_295 - containerKeysMax, truncated: 'keys' })
    assert.deepEqual((detailOf(new Set(Array.from({ length: 1_002 }, (_, index) => index))) as unknown[]).at(-1), {
      count: 2,
      truncated: 'keys',
    })
  })

  it('a text that no record could hold is counted', () => {
    assert.deepEqual(detailOf('ä'.repeat(2 ** 22)), { bytes: 2 ** 23, trimmed: true })
  })

  it('so is one for which the texts before it leave no room', () => {
    const text = 'x'.repeat(3 * 2 ** 20)
    const { details } = convertEvent({ action: 'a', details: { first: text, second: text, third: 'short' } })
    assert.deepEqual(details, { first: text, second: { bytes: text.length, trimmed: true }, third: 'short' })
  })

  it('a frozen prototype takes no key away', () => {
    const shadowed = Object.getOwnPropertyDescriptor(Object.prototype, 'toLocaleString') as PropertyDescriptor
    Object.defineProperty(Object.prototype, 'toLocaleString', { ...shadowed, writable: false })
    try {
      assert.deepEqual(detailOf({ toLocaleString: 1 }), { toLocaleString: 1 })
    } finally {
      Object.defineProperty(Object.prototype, 'toLocaleString', shadowed)
    }
  })
})

describe('a member of the event', () => {
  const place = {
    epoch: 2,
    event_type: 'audit',
    id: position.id,
    prev: position.previousHash,
    recorded: position.recorded,
    seq: 7,
    stream: position.stream,
    v: '1',
  }
  const long = 'ä'.repeat(300)
  const cut = 'ä'.repeat(256)
  const emoji = '😀'.repeat(200)
  const rows: readonly (readonly [string, unknown, Record<string, unknown>])[] = [
    [
      'no action is recorded as unknown',
      { tenant: 't' },
      { action: 'unknown', tenant: 't', validation: [{ pointer: '/action', rule: 'missing' }] },
    ],
    [
      'so is an empty one',
      { action: '' },
      { action: 'unknown', validation: [{ pointer: '/action', rule: 'missing' }] },
    ],
    ['so is null', { action: null }, { action: 'unknown', validation: [{ pointer: '/action', rule: 'missing' }] }],
    [
      'so is one that is no text, which is kept',
      { action: ['x'] },
      {
        action: 'unknown',
        details: { action: ['x'] },
        validation: [
          { pointer: '/action', rule: 'type' },
          { pointer: '/action', rule: 'missing' },
        ],
      },
    ],
    ['a number is printed', { action: 5 }, { action: '5', validation: [{ pointer: '/action', rule: 'type' }] }],
    [
      'nothing at all is still recorded',
      undefined,
      { action: 'unknown', validation: [{ pointer: '/action', rule: 'missing' }] },
    ],
    [
      'a text is kept as body',
      'hello',
      { action: 'unknown', details: { body: 'hello' }, validation: [{ pointer: '/action', rule: 'missing' }] },
    ],
    [
      'an array is kept as body',
      [1],
      { action: 'unknown', details: { body: [1] }, validation: [{ pointer: '/action', rule: 'missing' }] },
    ],
    [
      'an error is kept as body',
      new Error('m'),
      {
        action: 'unknown',
        details: { body: { class: 'Error', message: 'm' } },
        validation: [{ pointer: '/action', rule: 'missing' }],
      },
    ],
    [
      'a revoked proxy is kept as body',
      revoked(),
      {
        action: 'unknown',
        details: { body: { unreadable: true } },
        validation: [{ pointer: '/action', rule: 'missing' }],
      },
    ],
    ['a map is an event', new Map([['action', 'a']]), { action: 'a' }],
    [
      'a getter that throws costs its member alone',
      {
        action: 'a',
        get tenant() {
          return throwing()
        },
        grant: 'g',
      },
      {
        action: 'a',
        details: { tenant: { unreadable: true } },
        grant: 'g',
        validation: [{ pointer: '/tenant', rule: 'type' }],
      },
    ],
    [
      'an unknown operation is other, and kept',
      { action: 'a', operation: 'purge' },
      {
        action: 'a',
        details: { operation: 'purge' },
        operation: 'other',
        validation: [{ pointer: '/operation', rule: 'value' }],
      },
    ],
    [
      'an unknown outcome is unknown, and kept',
      { action: 'a', outcome: 'ok' },
      {
        action: 'a',
        details: { outcome: 'ok' },
        outcome: 'unknown',
        validation: [{ pointer: '/outcome', rule: 'value' }],
      },
    ],
    [
      'an unknown actor type is unknown, and kept',
      { action: 'a', actor: { type: 'robot', id: 'r' } },
      {
        action: 'a',
        actor: { id: 'r', type: 'unknown' },
        details: { 'actor.type': 'robot' },
        validation: [{ pointer: '/actor/type', rule: 'value' }],
      },
    ],
    [
      'an actor that is a text is its id',
      { action: 'a', actor: 'u-1' },
      { action: 'a', actor: { id: 'u-1' }, validation: [{ pointer: '/actor', rule: 'type' }] },
    ],
    [
      'an actor that is a list is kept',
      { action: 'a', actor: ['u'] },
      { action: 'a', details: { actor: ['u'] }, validation: [{ pointer: '/actor', rule: 'type' }] },
    ],
    [
      'a numeric identifier is printed',
      { action: 'a', target: { id: 42 } },
      { action: 'a', target: { id: '42' }, validation: [{ pointer: '/target/id', rule: 'type' }] },
    ],
    [
      'null is absent',
      { action: 'a', tenant: null, actor: { id: 'u', name: null }, error: null, details: null },
      { action: 'a', actor: { id: 'u' } },
    ],
    [
      'what an actor has beyond the format stays',
      { action: 'a', actor: { id: 'u', roles: ['admin'], email: 'e' } },
      { action: 'a', actor: { email: 'e', id: 'u', roles: ['admin'] } },
    ],
    [
      'a single role is a list of one',
      { action: 'a', actor: { roles: 'admin' } },
      { action: 'a', actor: { roles: ['admin'] }, validation: [{ pointer: '/actor/roles', rule: 'type' }] },
    ],
    [
      'targets are a list',
      { action: 'a', targets: [{ id: '1' }, 'two', null] },
      { action: 'a', targets: [{ id: '1' }, { id: 'two' }], validation: [{ pointer: '/targets/1', rule: 'type' }] },
    ],
    [
      'a single target is a list of one',
      { action: 'a', targets: { id: '1' } },
      { action: 'a', targets: [{ id: '1' }], validation: [{ pointer: '/targets', rule: 'type' }] },
    ],
    ['an error that is a known class', { action: 'a', error: 'timeout' }, { action: 'a', error: { class: 'timeout' } }],
    [
      'an error that is another text',
      { action: 'a', error: 'boom' },
      {
        action: 'a',
        error: { class: 'unknown', message: 'boom' },
        validation: [{ pointer: '/error/class', rule: 'value' }],
      },
    ],
    [
      'an error that is an Error',
      { action: 'a', error: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) },
      { action: 'a', error: { class: 'network_error', code: 'ECONNREFUSED', message: 'refused' } },
    ],
    [
      'an error without a class',
      { action: 'a', error: { message: 'm', code: 'c' } },
      { action: 'a', error: { class: 'unknown', code: 'c', message: 'm' } },
    ],
    [
      'an error of an unknown class',
      { action: 'a', error: { class: 'odd' } },
      {
        action: 'a',
        details: { 'error.class': 'odd' },
        error: { class: 'unknown' },
        validation: [{ pointer: '/error/class', rule: 'value' }],
      },
    ],
    [
      'a status is a number',
      { action: 'a', request: { status: '404', route: '/a' } },
      {
        action: 'a',
        request: { route: '/a', status: 404 },
        validation: [{ pointer: '/request/status', rule: 'type' }],
      },
    ],
    [
      'a request that is none is kept',
      { action: 'a', request: 'GET /' },
      { action: 'a', details: { request: 'GET /' }, validation: [{ pointer: '/request', rule: 'type' }] },
    ],
    [
      'a duration that is none is kept',
      { action: 'a', duration_ms: '12ms', attempts: 2n },
      {
        action: 'a',
        attempts: 2,
        details: { duration_ms: '12ms' },
        validation: [
          { pointer: '/duration_ms', rule: 'type' },
          { pointer: '/attempts', rule: 'type' },
        ],
      },
    ],
    ['a duration that is not finite is absent', { action: 'a', duration_ms: Number.NaN }, { action: 'a' }],
    [
      'a timestamp in another zone',
      { action: 'a', timestamp: '2026-01-01T02:00:00.5+02:00' },
      { action: 'a', timestamp: '2026-01-01T00:00:00.500000000Z' },
    ],
    [
      'a timestamp that is a date',
      { action: 'a', timestamp: new Date(1) },
      { action: 'a', timestamp: '1970-01-01T00:00:00.001000000Z' },
    ],
    [
      'a timestamp in fractional milliseconds',
      { action: 'a', timestamp: 1.5 },
      { action: 'a', timestamp: '1970-01-01T00:00:00.001500000Z' },
    ],
    [
      'a timestamp that is none is kept',
      { action: 'a', timestamp: 'yesterday' },
      { action: 'a', details: { timestamp: 'yesterday' }, validation: [{ pointer: '/timestamp', rule: 'type' }] },
    ],
    [
      'an invalid date as timestamp',
      { action: 'a', timestamp: new Date(Number.NaN) },
      { action: 'a', details: { timestamp: 'Invalid Date' }, validation: [{ pointer: '/timestamp', rule: 'type' }] },
    ],
    [
      'trace context in upper case',
      { action: 'a', trace: { id: 'AB'.repeat(16), span: 'CD'.repeat(8), flags: 1 } },
      { action: 'a', trace: { flags: 1, id: 'ab'.repeat(16), span: 'cd'.repeat(8) } },
    ],
    [
      'trace context that is invalid is kept',
      { action: 'a', trace: { id: '0'.repeat(32), span: 'cd'.repeat(8) } },
      {
        action: 'a',
        details: { trace: { id: '0'.repeat(32), span: 'cd'.repeat(8) } },
        validation: [{ pointer: '/trace', rule: 'type' }],
      },
    ],
    [
      'an identifier is cut at a code point',
      { action: 'a', tenant: long },
      { action: 'a', tenant: cut, validation: [{ pointer: '/tenant', rule: 'cut' }] },
    ],
    [
      'never inside a surrogate pair',
      { action: 'a', actor: { id: `a${emoji}` } },
      { action: 'a', actor: { id: `a${'😀'.repeat(127)}` }, validation: [{ pointer: '/actor/id', rule: 'cut' }] },
    ],
    [
      'a user agent may be longer',
      { action: 'a', request: { user_agent: 'x'.repeat(1_025) } },
      {
        action: 'a',
        request: { user_agent: 'x'.repeat(1_024) },
        validation: [{ pointer: '/request/user_agent', rule: 'cut' }],
      },
    ],
    [
      'messages and reasons longer still',
      { action: 'a', reason: 'x'.repeat(4_096), error: { class: 'timeout', message: 'x'.repeat(4_097) } },
      {
        action: 'a',
        error: { class: 'timeout', message: 'x'.repeat(4_096) },
        reason: 'x'.repeat(4_096),
        validation: [{ pointer: '/error/message', rule: 'cut' }],
      },
    ],
    [
      'details that are no object are kept in details',
      { action: 'a', details: 'text' },
      { action: 'a', details: { details: 'text' }, validation: [{ pointer: '/details', rule: 'type' }] },
    ],
    [
      'names the format does not know go to details',
      { action: 'a', color: 'red', details: { color: 'blue' } },
      { action: 'a', details: { color: 'blue', 'color#2': 'red' } },
    ],
    ['the schema names the action that it versions', { action: 'a', schema: '3' }, { action: 'a', schema: '1;a=3' }],
    [
      'no member of ours can be set',
      {
        action: 'a',
        event_type: 'audit.checkpoint',
        seq: 1,
        stream: 's',
        prev: 'p',
        id: 'i',
        v: '2',
        epoch: 9,
        recorded: 'r',
        level: 'l',
        policy: 'p',
        service: 's',
        redactions: [],
        validation: [],
        clock: 'c',
      },
      {
        action: 'a',
        details: {
          clock: 'c',
          epoch: 9,
          event_type: 'audit.checkpoint',
          id: 'i',
          level: 'l',
          policy: 'p',
          prev: 'p',
          recorded: 'r',
          redactions: [],
          seq: 1,
          service: 's',
          stream: 's',
          v: '2',
          validation: [],
        },
      },
    ],
    ['a control record cannot be feigned', { action: 'audit.stream.closed' }, { action: 'audit.stream.closed' }],
  ]
  for (const [name, event, expected] of rows) {
    it(name, () => {
      const schema = expected.schema ?? '1'
      assert.deepEqual(sealed(event), { timestamp: position.recorded, ...place, ...expected, schema })
    })
  }

  it('lists only the first findings', () => {
    const targets = Array.from({ length: 100 }, () => ({ id: long }))
    const { validation } = sealed({ action: 'a', targets }) as { validation: unknown[] }
    assert.equal(validation.length, validationsMax)
  })

  it('is found among very many others', () => {
    const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`k${index}`, 1]))
    const { action, outcome, details } = convertEvent({ ...many, action: 'a', outcome: 'denied' })
    assert.deepEqual({ action, outcome }, { action: 'a', outcome: 'denied' })
    assert.deepEqual(details?.['…'], { count: 99_000, truncated: 'keys' })
  })
})
