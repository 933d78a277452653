/**
 * What applications may throw at us: values of every kind, in every place an event has. Each is a function that
 * makes the value, because fast-check itself would stumble over the worst of them.
 */

import fc from 'fast-check'

const throwing = (): never => {
  throw new Error('not for you')
}

/** Makes a value; each call a fresh one. */
export type Make = () => unknown

/** Proxies and objects that resist being read. */
const hostileObject: fc.Arbitrary<Make> = fc.constantFrom(
  () => Proxy.revocable({}, {}),
  () => {
    const { proxy, revoke } = Proxy.revocable({ a: 1 }, {})
    revoke()
    return proxy
  },
  () => {
    const { proxy, revoke } = Proxy.revocable([1], {})
    revoke()
    return proxy
  },
  () => new Proxy({ a: 1 }, { get: throwing }),
  () => new Proxy({ a: 1 }, { ownKeys: throwing }),
  () => new Proxy({ a: 1 }, { getPrototypeOf: throwing }),
  () => new Proxy({ a: 1 }, { getOwnPropertyDescriptor: throwing }),
  () =>
    new Proxy([1, 2], {
      get: (target, key) => (key === 'length' ? Number.POSITIVE_INFINITY : Reflect.get(target, key)),
    }),
  () => new Proxy([1, 2], { get: (_, key) => (key === 'length' ? -1.5 : throwing()) }),
  () => new Proxy(new Date(), {}),
  () => new Proxy(new Map([[1, 2]]), {}),
  () => new Proxy(() => 1, {}),
  () => Object.defineProperty({ b: 2 }, 'a', { enumerable: true, get: throwing }),
  () => ({ toJSON: throwing, toString: throwing, valueOf: throwing, [Symbol.toPrimitive]: throwing }),
  () => {
    const circle: Record<string, unknown> = { name: 'circle' }
    circle.self = [circle]
    return circle
  },
  () => {
    let deep: unknown = 1
    for (let depth = 0; depth < 20_000; depth++) deep = depth % 2 === 0 ? { deep } : [deep]
    return deep
  },
  () => {
    let shared: unknown = 'x'.repeat(50)
    for (let depth = 0; depth < 31; depth++) shared = { a: shared, b: shared, c: [shared, shared] }
    return shared
  },
  () => {
    let calls = 0
    return {
      get next(): unknown {
        return { calls: calls++, ...this }
      },
    }
  },
  () => Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [`key ${index}`, index])),
  () => new Array(4_294_967_295),
  () => Object.assign(Object.create({ inherited: 1 }), { own: 2 }),
  () => JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
  () =>
    new Map<unknown, unknown>([
      [{}, 1],
      [{}, 2],
      ['object', 3],
      [Symbol('s'), 4],
      [1n, 5],
      ['1', 6],
    ]),
  () => new Set([1, new Set(), 'x']),
  () =>
    class Odd extends Map {
      override get size(): number {
        return Number.NaN
      }
    },
  () =>
    new (class extends Map {
      override get size(): number {
        return Number.POSITIVE_INFINITY
      }
    })(),
  () => Object.assign(new Error('broken'), { name: 5, code: 'ECODE' }),
  () => Object.defineProperty(new Error('broken'), 'message', { get: throwing }),
  () => new Uint8Array(1_000),
  () => new Date(Number.NaN),
  () => new Date(8.64e15),
  () => 2n ** 5_000n,
  () => structuredClone(new Float64Array(4), { transfer: [] }),
)

const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ maxLength: 20 }),
  fc.constantFrom(
    '',
    '\ud800',
    'a\udfffb',
    '\u0000',
    '\u2028',
    '😀'.repeat(300),
    '\u0001'.repeat(5_000),
    'ß'.repeat(60_000),
  ),
)

const hostileScalar: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.double(),
  fc.bigInt(),
  fc.boolean(),
  fc.date({ noInvalidDate: false }),
  fc.constantFrom(undefined, null, Number.NaN, -0, 1e300, 2 ** 53, -Infinity, Symbol('s'), () => 1, 10n ** 40n),
  fc.uint8Array({ maxLength: 300 }),
)

const hostileKey: fc.Arbitrary<string> = fc.oneof(
  hostileText,
  fc.nat(20).map(String),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toJSON',
    'toString',
    'hasOwnProperty',
    '…',
    'password',
    'a#2',
    '\udc00',
    '\ud800',
  ),
)

const makeMembers = (members: readonly (readonly [string, Make])[], prototype: object | null): unknown => {
  const made = Object.create(prototype)
  for (const [key, make] of members) {
    Object.defineProperty(made, key, { value: make(), enumerable: true, configurable: true, writable: true })
  }
  return made
}

/** Any value at all. */
export const hostileValue: fc.Arbitrary<Make> = fc.letrec<{ value: Make }>((tie) => {
  const list = fc.array(tie('value'), { maxLength: 5 })
  const members = fc.array(fc.tuple(hostileKey, tie('value')), { maxLength: 6 })
  const prototypes = fc.constantFrom(Object.prototype, null, Date.prototype, { inherited: 1 })
  return {
    value: fc.oneof(
      { depthSize: 'small' },
      hostileScalar.map((value) => () => value),
      hostileObject,
      list.map((makes) => () => makes.map((make) => make())),
      list.map((makes) => () => new Set(makes.map((make) => make()))),
      list.map((makes) => () => new Map(makes.map((make) => [make(), make()]))),
      fc.tuple(members, prototypes).map(
        ([pairs, prototype]) =>
          () =>
            makeMembers(pairs, prototype),
      ),
    ),
  }
}).value

const memberNames = [
  ...['action', 'operation', 'outcome', 'tenant', 'session', 'grant', 'reason', 'correlation_id', 'schema'],
  ...['actor', 'target', 'targets', 'error', 'request', 'changes', 'details', 'trace', 'resource', 'redactions'],
  ...[
    'timestamp',
    'duration_ms',
    'attempts',
    'seq',
    'stream',
    'event_type',
    'prev',
    'v',
    'id',
    'validation',
    'service',
  ],
]
const partNames = [
  'id',
  'type',
  'name',
  'class',
  'code',
  'message',
  'resource_type',
  'user_agent',
  'status',
  'roles',
  'span',
  'flags',
]

/** Anything that may reach `emit`: mostly objects with the members of an event, filled with anything. */
export const hostileEvent: fc.Arbitrary<Make> = fc.oneof(
  { weight: 1, arbitrary: hostileValue },
  {
    weight: 4,
    arbitrary: fc
      .array(
        fc.tuple(
          fc.oneof(fc.constantFrom(...memberNames), hostileKey),
          fc.oneof(
            hostileValue,
            fc
              .array(fc.tuple(fc.constantFrom(...partNames), hostileValue), { maxLength: 6 })
              .map((pairs) => () => makeMembers(pairs, Object.prototype)),
          ),
        ),
        { maxLength: 14 },
      )
      .map((pairs) => () => makeMembers(pairs, Object.prototype)),
  },
)
