/** Patterns of users: what is refused and for which part, and that nothing is accepted that an independent analyser finds vulnerable. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { checkSync } from 'recheck'
import { AuditError } from '../../../src/errors.ts'
import { compileRedaction } from '../../../src/policy/redact.ts'
import { findFault, patternLengthMax } from '../../../src/policy/redaction/pattern.ts'
import { keyPatterns } from '../../../src/policy/redaction/tokens.ts'
import { readSource } from '../../support/source-text.ts'

const root = join(import.meta.dirname, '../../..')

/** Safe patterns that users write. */
const accepted = [
  'EMP-\\d{6}',
  '\\b\\d{3}-\\d{2}-\\d{4}\\b',
  '\\bEMP-\\d+\\b',
  '\\b\\d+\\b',
  'token=[^;]+',
  '(?<!\\d)\\d{9}(?!\\d)',
  '\\b[\\w.]{1,64}@[\\w.]{1,30}\\.[a-z]{2,10}\\b',
  '(?:\\d{1,3}\\.){3}\\d{1,3}',
  'ACME[0-9A-F]{32}',
  '(?:Kunde|Vertrag)-(?:\\d{4}-){2}\\d{4}',
  'foo|bar.*',
  '^id: \\d{1,40}$',
  '\\p{Lu}\\d{8}',
  '"ssn":"[^"]+"',
]

/** Refused patterns, and the part that the refusal names. */
const refused: readonly (readonly [pattern: string, part: string, reason: RegExp])[] = [
  ['(a+)+$', '(a+)+', /more than one character/],
  ['(a|a)*b', '(a|a)*', /more than one character/],
  ['(x+x+)+y', '(x+x+)+', /more than one character/],
  ['^(.*?,){11}P', '.*?', /may begin with the same/],
  ['x.*y', '.*', /may begin with the same/],
  ['id=(\\d+)x', '\\d+', /looks|begun anywhere|same/],
  ['\\d+x', '\\d+', /begun anywhere within itself/],
  ['\\s+$', '\\s+', /begun anywhere within itself/],
  ['\\w+@\\w+', '\\w+', /begun anywhere within itself/],
  ['token=[^;]+;', '[^;]+', /begun anywhere within itself/],
  ['(?=a+)b', 'a+', /looks ahead or back without bound/],
  ['(?<=a*)b', 'a*', /looks ahead or back without bound/],
  ['(\\w)\\1', '\\1', /refers back/],
  ['(?:a{0,30}){30}b', '(?:a{0,30}){30}', /steps at one place/],
  ['[a-z]{1,60}[a-z]{1,60}[0-9]', '[a-z]{1,60}', /steps at one place/],
  ['a*', 'a*', /empty text/],
  ['(?=x)', '(?=x)', /empty text/],
  ['', '', /empty text/],
  ['(', '(', /Unterminated group/],
  ['\\q', '\\q', /escape/i],
  ['a'.repeat(patternLengthMax + 1), `${'a'.repeat(20)}…`, /longer than/],
]

describe("a user's pattern", () => {
  for (const pattern of accepted) {
    it(`is accepted: ${pattern}`, () => assert.equal(findFault(pattern), undefined))
  }

  for (const [pattern, part, reason] of refused) {
    it(`is refused, naming the part: ${pattern.slice(0, 40)}`, () => {
      const fault = findFault(pattern)
      assert.equal(fault?.part, part)
      assert.match(fault?.reason ?? '', reason)
    })
  }

  it('is refused at start with setting, rule, part and remedy', () => {
    const rules = [
      { id: 'fine', pattern: 'x' },
      { id: 'slow', pattern: '^(a+)+$' },
    ]
    assert.throws(
      () => compileRedaction({ rules }),
      (thrown) => {
        assert.ok(thrown instanceof AuditError)
        assert.equal(thrown.code, 'INVALID_OPTION')
        assert.equal(thrown.setting, 'redact.rules[1].pattern')
        assert.match(thrown.message, /slow is \^\(a\+\)\+\$: refused at \(a\+\)\+: it repeats without bound/)
        assert.match(thrown.hint, /upper bound/)
        return true
      },
    )
  })

  it('reads letters of either case as the rule does', () => {
    assert.equal(findFault('K[A-Z]+;', true)?.part, '[A-Z]+')
    assert.equal(findFault('=[a-z]+;', true), undefined)
    // The Kelvin sign is a k to a pattern that does not tell cases apart.
    assert.equal(findFault('\u212a[j-l]+;', true)?.part, '[j-l]+')
  })

  it('that is accepted is safe to an analyser of another make', () => {
    const atom = fc.constantFrom('a', 'b', '\\d', '\\w', '.', '[^a]', '[ab]', '\\b', '-', 'é', '(?!a)', '^', '$')
    const bounds = fc.constantFrom('', '', '+', '*', '?', '{2}', '{1,3}', '{0,9}', '+?', '{2,}')
    const pattern = fc.letrec<{ sequence: string; part: string }>((tie) => ({
      part: fc.oneof(
        { depthSize: 'small' },
        fc.tuple(atom, bounds).map(([text, times]) => (/^(?:\\b|\(|\^|\$)/.test(text) ? text : text + times)),
        fc.tuple(tie('sequence'), tie('sequence'), bounds).map(([a, b, times]) => `(?:${a}|${b})${times}`),
        fc.tuple(tie('sequence'), bounds).map(([a, times]) => `(${a})${times}`),
      ),
      sequence: fc.array(tie('part'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')),
    })).sequence
    fc.assert(
      fc.property(pattern, (text) => {
        fc.pre(findFault(text) === undefined)
        const verdict = analyse(text, 'u')
        // Its fuzzer counts steps: a bounded repetition that costs ten of them a character looks quadratic to it.
        const isProven =
          verdict.status === 'vulnerable' && !(verdict.complexity.isFuzz && verdict.complexity.type === 'polynomial')
        assert.ok(!isProven, `${text}: ${JSON.stringify(verdict)}`)
      }),
      { numRuns: 100 },
    )
  })
})

describe('the patterns of redaction itself', () => {
  it('pass the check that patterns of users must pass', () => {
    for (const { issuer, pattern } of keyPatterns) assert.equal(findFault(pattern), undefined, issuer)
  })

  it('are safe to an analyser of another make, every one in the room', () => {
    const patterns = globSync('src/policy/{redact*.ts,redaction/*.ts}', { cwd: root }).flatMap((path) =>
      patternsIn(readFileSync(join(root, path), 'utf8')).map((pattern) => ({ path, ...pattern })),
    )
    assert.ok(patterns.length > 15, `${patterns.length} were found`)
    for (const { path, source, flags } of [
      ...patterns,
      ...keyPatterns.map(({ pattern, issuer }) => ({ path: issuer, source: pattern, flags: 'g' })),
    ]) {
      const verdict = analyse(source, flags)
      assert.equal(verdict.status, 'safe', `${path}: /${source}/${flags} ${JSON.stringify(verdict)}`)
    }
  })
})

function analyse(source: string, flags: string) {
  return checkSync(source, flags.replace(/[dv]/g, ''), { timeout: 20_000 })
}

/** The regular expressions in a source. */
function patternsIn(text: string): { source: string; flags: string }[] {
  return readSource(text)
    .literals.filter(({ kind }) => kind === 'regex')
    .map(({ start, end }) => ({
      source: text.slice(start, end),
      flags: /^\/([a-z]*)/.exec(text.slice(end))?.[1] ?? '',
    }))
}
