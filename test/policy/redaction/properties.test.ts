/** What holds for every text and every event: hiding once is hiding for good, and nothing planted is left. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { canonicalize } from '../../../src/event/canonical.ts'
import { convertEvent } from '../../../src/event/convert.ts'
import { encodeRecord } from '../../../src/event/record.ts'
import { compileRedaction } from '../../../src/policy/redact.ts'
import { redactText } from '../../../src/policy/redact-text.ts'
import { type ContentRule, contentRules } from '../../../src/policy/redaction/match.ts'
import { type RedactionOptions, redactionModes } from '../../../src/policy/redaction/options.ts'
import { hostileEvent, hostileValue } from '../../event/arbitraries.ts'
import { position } from '../../event/positions.ts'
import { hostileTexts } from './hostile-texts.ts'
import { countSteps } from './steps.ts'

const pseudonymKey = 'a key of the tests, of no use'
const from = (alphabet: string, minLength: number, maxLength = minLength): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...alphabet), { minLength, maxLength }).map((letters) => letters.join(''))
const lower = 'abcdefghijklmnopqrstuvwxyz'
const letters = `${lower}${lower.toUpperCase()}0123456789`
const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map((parts) => parts.join('.'))
const group = fc.nat(0xffff).map((value) => value.toString(16))

function withCheckDigit(digits: string): string {
  for (let check = 0; check < 10; check++) {
    const sum = [...`${digits}${check}`].reverse().reduce((total, character, index) => {
      const value = Number(character) * (index % 2 === 0 ? 1 : 2)
      return total + (value > 9 ? value - 9 : value)
    }, 0)
    if (sum % 10 === 0) return `${digits}${check}`
  }
  return digits
}

/** For each rule a text that holds a secret of its kind, and the secret. */
const planted: Readonly<Record<ContentRule, fc.Arbitrary<readonly [text: string, secret: string]>>> = {
  bearer: from(letters, 12, 40).map((token) => [`Bearer 7${token}`, token]),
  basic: from(letters, 6, 20).map((name) => {
    const encoded = Buffer.from(`${name}:${name}`).toString('base64')
    return [`Basic ${encoded}`, encoded]
  }),
  jwt: fc
    .tuple(from(letters, 10, 30), from(letters, 10, 60), from(letters, 43))
    .map(([head, body, signature]) => [`eyJ${head}.${body}.${signature}`, `${body}.${signature}`]),
  pem: from(letters, 40, 80).map((key) => [`-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----`, key]),
  cloud_key: fc.oneof(
    from('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16).map((id) => [`AKIA${id}`, id] as const),
    from(letters, 36).map((token) => [`ghp_${token}`, token] as const),
    from(letters, 24).map((token) => [`sk_live_${token}`, token] as const),
  ),
  url_credentials: from(letters, 8, 20).map((password) => [`postgres://app:${password}@db/x`, password]),
  credential: from(letters, 8, 20).map((password) => [`password=7${password}`, password]),
  card: from('0123456789', 14).map((digits) => {
    const number = withCheckDigit(`4${digits}`)
    return [number, number]
  }),
  email: fc
    .tuple(from(lower, 5, 12), from(lower, 5, 12))
    .map(([name, host]) => [`${name}@${host}.com`, `${name}@${host}`]),
  ipv4: octets.map((address) => [address, address]),
  ipv6: fc
    .oneof(
      fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':')),
      fc
        .tuple(fc.array(group, { minLength: 2, maxLength: 4 }), group)
        .map(([head, tail]) => `${head.join(':')}::${tail}`),
      octets.map((address) => `::ffff:${address}`),
    )
    .map((address) => [address, address]),
  path: fc.tuple(from(lower, 3, 6), from(lower, 8, 12)).map(([top, name]) => [`/${top}/${name}/x`, name]),
  pid: fc.integer({ min: 100_000, max: 4_194_304 }).map((pid) => [`pid=${pid}`, String(pid)]),
}

/** Anything that may stand around a secret; at its very edge stands what no secret could go on with. */
const around = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.string({ unit: 'binary', maxLength: 30 }).map((text) => text.toWellFormed()),
  fc.constantFrom('error: ', 'user said "hello', 'a/b/c ', 'GET /x?y=', 'x'.repeat(70), '[REDACTED]', '::', '{"a":'),
)
const edge = fc.constantFrom(' ', '\n', '\t', ', ', ' (')

const options: fc.Arbitrary<RedactionOptions> = fc.record({
  preset: fc.constantFrom('off', 'default', 'daemon', 'strict'),
  pseudonymKey: fc.constant(pseudonymKey),
  keys: fc.constantFrom([], ['message', 'tenant']),
  pointers: fc.constantFrom([], ['/details/*'], [{ pointer: '/details/*/x', mode: 'truncate' as const }, '/reason']),
  rules: fc.constantFrom([], [{ id: 'r', pattern: '[a-e]{2}' }], [{ id: 'r', pattern: 'e', mode: 'remove' as const }]),
  modes: fc
    .dictionary(fc.constantFrom(...contentRules, 'password', 'token'), fc.constantFrom(...redactionModes))
    .map(({ password: _password, token: _token, ...modes }) => modes),
})

describe('redaction of any text', () => {
  it('changes nothing the second time, whatever the text and the modes', () => {
    const pieces = [...hostileTexts(8)]
    const text = fc.array(fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom(...pieces)), { maxLength: 8 })
    fc.assert(
      fc.property(text, options, (parts, chosen) => {
        const once = redactText(parts.join(''), chosen).text
        assert.deepEqual(redactText(once, chosen), { text: once, counts: {} })
      }),
      { numRuns: 2_000 },
    )
  })

  for (const rule of contentRules) {
    it(`leaves no planted ${rule}, whatever stands around it, and counts it`, () => {
      fc.assert(
        fc.property(planted[rule], around, edge, around, ([text, secret], before, gap, after) => {
          const { text: redacted, counts } = redactText(before + gap + text + gap + after)
          assert.ok(!redacted.includes(secret), redacted)
          assert.ok(Object.values(counts).some((count) => count > 0))
        }),
        { numRuns: 300 },
      )
    })
  }

  it('finds tokens, keys, addresses and cards also in the middle of a word', () => {
    const apart = fc.constantFrom('x', 'Q', 'zz', '_')
    for (const rule of ['jwt', 'cloud_key', 'pem', 'url_credentials', 'ipv4', 'card'] as const) {
      fc.assert(
        fc.property(planted[rule], apart, ([text, secret], beside) => {
          assert.ok(!redactText(beside + text + beside).text.includes(secret))
        }),
      )
    }
  })

  it('takes steps in proportion to the length of the most hostile text', () => {
    const short = [...hostileTexts(1_000)]
    const long = [...hostileTexts(4_000)]
    for (const [index, text] of long.entries()) {
      const stepsPerCharacter = countSteps(() => redactText(text)) / text.length
      const before = countSteps(() => redactText(short[index] ?? '')) / (short[index] ?? '').length
      assert.ok(stepsPerCharacter < 120, `${stepsPerCharacter} steps a character: ${text.slice(0, 40)}`)
      assert.ok(stepsPerCharacter < before * 1.2 + 1, `grows with the length: ${text.slice(0, 40)}`)
    }
  })
})

describe('redaction of any event', () => {
  it('changes nothing the second time, and loses no event', () => {
    fc.assert(
      fc.property(hostileEvent, options, (make, chosen) => {
        const redaction = compileRedaction(chosen)
        const event = convertEvent(make())
        event.redactions = redaction.redact(event)
        const text = encodeRecord(event, position)
        assert.deepEqual(redaction.redact(event), [])
        assert.equal(encodeRecord(event, position), text)
        assert.equal(canonicalize(JSON.parse(text)), text)
      }),
      { numRuns: 300 },
    )
  })

  it('leaves no planted secret at any depth, in a value or in a key, and lists it', () => {
    const redaction = compileRedaction({ preset: 'strict' })
    const secretIn = fc.oneof(...contentRules.map((rule) => planted[rule]))
    const nesting = fc.array(fc.constantFrom('object', 'array', 'map', 'set', 'key'), { maxLength: 6 })
    fc.assert(
      fc.property(secretIn, nesting, hostileValue, edge, ([text, secret], kinds, makeBeside, gap) => {
        const beside = makeBeside()
        let details: unknown = { note: `x${gap}${text}${gap}x` }
        for (const kind of kinds) {
          if (kind === 'object') details = { inner: details, beside }
          if (kind === 'array') details = [beside, details]
          if (kind === 'map') details = new Map([['inner', details]])
          if (kind === 'set') details = new Set([details])
          if (kind === 'key') details = { [`x${gap}${text}`]: details, [`y${gap}${text}`]: 1 }
        }
        const error = new Error(`failed:${gap}${text}`)
        for (const given of [{ details }, { changes: { a: { from: details } } }, { error }, { other: details }]) {
          const event = convertEvent({ action: 'a', ...given })
          event.redactions = redaction.redact(event)
          const sealed = encodeRecord(event, position)
          assert.ok(
            !sealed.includes(JSON.stringify(secret).slice(1, -1)) || JSON.stringify(beside)?.includes(secret),
            sealed.slice(0, 2_000),
          )
          const isWhole = !sealed.includes('"trimmed":true') && !sealed.includes('"truncated":"keys"')
          if (isWhole) assert.ok((event.redactions.length ?? 0) > 0)
        }
      }),
      { numRuns: 150 },
    )
  })
})
