import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import independentCanonicalize from 'canonicalize'
import fc from 'fast-check'
import { canonicalize, isIntegerLikeKey, sortKeys, stringifySorted } from '../../src/event/canonical.ts'

interface Vectors {
  readonly cases: readonly { readonly name: string; readonly input: string; readonly outputHex: string }[]
  readonly numbers: readonly { readonly ieee754Hex: string; readonly json: string }[]
}
const vectors: Vectors = JSON.parse(readFileSync(new URL('../vectors/rfc8785.json', import.meta.url), 'utf8'))

describe('canonicalize', () => {
  for (const { name, input, outputHex } of vectors.cases) {
    it(`gives the bytes of RFC 8785's vector "${name}"`, () => {
      assert.equal(Buffer.from(canonicalize(JSON.parse(input))).toString('hex'), outputHex)
    })
  }

  it('prints the numbers of RFC 8785 as its table does', () => {
    assert.ok(vectors.numbers.length > 0)
    for (const { ieee754Hex, json } of vectors.numbers) {
      assert.equal(canonicalize(Buffer.from(ieee754Hex, 'hex').readDoubleBE()), json)
    }
  })

  it('agrees with an independent implementation on any JSON value', () => {
    const key = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.nat(200).map(String),
      fc.constantFrom('10', '9', '__proto__', '4294967295', '01'),
    )
    const { json } = fc.letrec((tie) => ({
      json: fc.oneof(
        { depthSize: 'medium' },
        fc.constantFrom(null, true, false, -0, 1e21, 1e-7, 5e-324, Number.MAX_VALUE),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.string({ unit: 'grapheme' }),
        fc.array(tie('json'), { maxLength: 6 }),
        fc.dictionary(key, tie('json'), { maxKeys: 8 }),
      ),
    }))
    fc.assert(
      fc.property(json, (value) => assert.equal(canonicalize(value), independentCanonicalize(value))),
      { numRuns: 1_000 },
    )
  })

  const circle: unknown[] = []
  circle.push({ circle })
  const refused: readonly [string, unknown, string][] = [
    ['undefined', { a: undefined }, '/a'],
    ['a function', [() => 1], '/0'],
    ['a symbol', { a: [Symbol('s')] }, '/a/0'],
    ['a bigint', { 'a/b': { '~': 1n } }, '/a~1b/~0'],
    ['NaN', { a: Number.NaN }, '/a'],
    ['an infinity', [1, Number.NEGATIVE_INFINITY], '/1'],
    ['a lone surrogate in a text', { a: '\ud800' }, '/a'],
    ['a lone surrogate in a key', { 'a\udc00': 1 }, '/a\udc00'],
    ['a hole', new Array(1), '/0'],
    ['a date', { a: new Date(0) }, '/a'],
    ['a map', { a: new Map() }, '/a'],
    ['a class instance', { a: new (class {})() }, '/a'],
    ['undefined itself', undefined, ''],
  ]
  for (const [name, value, pointer] of refused) {
    it(`refuses ${name} and says where it is`, () => {
      assert.throws(
        () => canonicalize(value),
        (error) => error instanceof TypeError && error.message.includes(`"${pointer}"`),
      )
    })
  }

  it('refuses cycles and endless nesting', () => {
    assert.throws(() => canonicalize(circle), TypeError)
    let deep: unknown = 0
    for (let depth = 0; depth < 20_000; depth++) deep = [deep]
    assert.throws(() => canonicalize(deep), TypeError)
  })
})

describe('stringifySorted', () => {
  it('keeps the canonical order of keys that JavaScript reorders', () => {
    assert.equal(stringifySorted({ 9: 1, 10: 2, a: 3 }, true), '{"10":2,"9":1,"a":3}')
  })

  it('is not led astray by a toJSON on a built-in prototype', (context) => {
    const polluted = Object.prototype as { toJSON?: () => string }
    context.after(() => delete polluted.toJSON)
    Object.defineProperty(polluted, 'toJSON', { value: () => 'forged', configurable: true })
    assert.equal(stringifySorted({ a: [1] }, false), '{"a":[1]}')
  })
})

it('integer-like keys are those that JavaScript may move', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.nat().map(String),
        fc.string({ maxLength: 4 }),
        fc.constantFrom('4294967294', '4294967295', '00', ''),
      ),
      (key) => {
        const moved = Object.keys({ zz: 1, [key]: 2 })[0] === key && key !== 'zz'
        assert.ok(!moved || isIntegerLikeKey(key), key)
      },
    ),
  )
})

it('keys sort by UTF-16 code units, however many they are', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 40 }), (keys) => {
      assert.deepEqual(sortKeys([...keys]), [...keys].sort())
    }),
  )
})
