import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { compilePatterns, covers, matchesAny, patternFault } from '../../src/policy/patterns.ts'

it('a pattern is a text, or a beginning followed by *', () => {
  const patterns = compilePatterns(['health', 'metrics_*'])
  const matching = ['health', 'metrics_', 'metrics_read']
  const others = ['', 'Health', 'healthy', 'metrics', 'my_metrics_read', undefined]
  for (const text of matching) assert.ok(matchesAny(patterns, text), text)
  for (const text of others) assert.ok(!matchesAny(patterns, text), text)
})

it('* alone matches any text, but not what is absent', () => {
  assert.ok(matchesAny(compilePatterns(['*']), ''))
  assert.ok(matchesAny(compilePatterns(['*']), 'x'))
  assert.ok(!matchesAny(compilePatterns(['*']), undefined))
})

it('what cannot be meant is refused with what is allowed', () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['', /not empty/],
    [' health', /white space around/],
    ['health\n', /white space around/],
    ['a*b', /\* at its end only/],
    ['*b', /\* at its end only/],
    ['**', /\* at its end only/],
    ['x\ud800', /lone surrogates/],
    ['é'.repeat(300), /at most 512 bytes/],
  ]
  for (const [pattern, allowed] of wrong) assert.match(patternFault(pattern) ?? '', allowed, JSON.stringify(pattern))
  for (const pattern of ['health', 'health*', '*', 'a b', 'é', '\u{1f600}*'])
    assert.equal(patternFault(pattern), undefined)
})

it('one pattern covers another exactly when it matches all that the other does', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 4 })
  const pattern = fc.tuple(text, fc.constantFrom('', '*')).map(([beginning, end]) => beginning + end)
  fc.assert(
    fc.property(pattern, pattern, (wide, narrow) => {
      const texts = Array.from({ length: 2 ** 7 }, (_, bits) =>
        bits
          .toString(2)
          .slice(1)
          .replace(/./g, (bit) => 'ab'[Number(bit)] ?? ''),
      )
      const isCovered = texts.every(
        (one) => !matchesAny(compilePatterns([narrow]), one) || matchesAny(compilePatterns([wide]), one),
      )
      assert.equal(covers(wide, narrow), isCovered)
    }),
  )
})
