/** docs/redaction.md against the code: every cell of its table, every name, every example. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { AuditError } from '../../src/errors.ts'
import { canonicalize } from '../../src/event/canonical.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { compileRedaction } from '../../src/policy/redact.ts'
import { redactRemoteAddr, redactText } from '../../src/policy/redact-text.ts'
import { keysByPreset, personalKeys, processKeys, secretKeys } from '../../src/policy/redaction/keys.ts'
import { contentRules } from '../../src/policy/redaction/match.ts'
import { redactionModes, redactionPresets } from '../../src/policy/redaction/options.ts'
import { rulesByPreset } from '../../src/policy/redaction/presets.ts'
import { keyPatterns } from '../../src/policy/redaction/tokens.ts'
import { fencesOf, quotedIn, readDocument, tableOf } from './markdown.ts'

const document = readDocument('docs/redaction.md')
const fences = fencesOf(document)
const paragraph = (beginning: string): string => document.split('\n\n').find((part) => part.startsWith(beginning)) ?? ''

it('the table says which content rules each preset has in force, and where', () => {
  const rows = tableOf(document, 'content rule', 'what it finds', ...redactionPresets.map((preset) => `\`${preset}\``))
  assert.deepEqual(
    rows.map(([rule = '']) => quotedIn(rule)[0]),
    [...contentRules],
  )
  for (const [index, rule] of contentRules.entries()) {
    const cells = redactionPresets.map((preset) => {
      const { text, identity } = rulesByPreset[preset]
      return identity.has(rule) ? 'everywhere' : text.has(rule) ? 'yes' : '–'
    })
    assert.deepEqual(rows[index]?.slice(2), cells, rule)
  }
})

it('the names that the presets hide are listed', () => {
  assert.deepEqual(quotedIn(paragraph('`accesskey`')), [...secretKeys])
  assert.deepEqual(quotedIn(paragraph('`accountnumber`')), [...personalKeys])
  assert.ok(document.includes(`\`daemon\` and \`strict\` add ${processKeys.map((key) => `\`${key}\``).join(', ')}.`))
  assert.deepEqual(keysByPreset.strict, [...secretKeys, ...processKeys, ...personalKeys])
})

it('every issuer whose keys are found is named', () => {
  const text = document.replaceAll('\n', ' ')
  for (const { issuer } of keyPatterns) assert.ok(text.includes(issuer), issuer)
})

it('the table of modes has every mode', () => {
  const rows = tableOf(document, 'mode', 'a value by key or pointer', 'a part of a text')
  assert.deepEqual(
    rows.map(([mode = '']) => quotedIn(mode)[0]),
    [...redactionModes],
  )
})

it('the options of the example are allowed', () => {
  assert.ok(fences[0]?.text.includes("rules: [{ id: 'employee', pattern: 'EMP-\\\\d{6}' }]"))
  compileRedaction({
    preset: 'default',
    keys: ['iban', 'customer'],
    pointers: ['/details/*/ssn'],
    rules: [{ id: 'employee', pattern: 'EMP-\\d{6}' }],
    modes: { iban: 'truncate', customer: 'pseudonym' },
    pseudonymKey: 'a key of the tests, of no use',
  })
})

it('the refusal of a pattern reads as it is shown', () => {
  const shown = fences.find(({ text }) => text.startsWith('redact.rules[0].pattern'))?.text.trim()
  assert.throws(
    () => compileRedaction({ rules: [{ id: 'slow', pattern: '^(a+)+$' }] }),
    (thrown) => thrown instanceof AuditError && thrown.message === shown,
  )
})

it('addresses are truncated as it is shown', () => {
  const shown = JSON.parse(fences.find(({ text }) => text.includes('/48'))?.text ?? '')
  const options = { preset: 'daemon', modes: { ipv4: 'truncate', ipv6: 'truncate' } } as const
  for (const [address, truncated] of Object.entries(shown)) assert.equal(redactText(address, options).text, truncated)
})

it('the receipt is the one that redaction writes', () => {
  const details = { note: 'call 10.0.0.1:443 as ann@example.com', password: 'hunter2' }
  const event = convertEvent({ action: 'a', details })
  const redactions = compileRedaction({ preset: 'daemon' }).redact(event)
  const shown = fences.find(({ text }) => text.includes('"redactions"'))
  assert.equal(canonicalize(JSON.parse(shown?.text ?? '')), canonicalize({ details: event.details, redactions }))
})

it('the functions answer as it is shown', () => {
  const shown = fences.find(({ text }) => text.includes('redactRemoteAddr('))?.text ?? ''
  const redacted = redactText('pid=7 lost 10.0.0.1:443')
  assert.ok(shown.includes(`{ text: '${redacted.text}', counts: { pid: 1, ipv4: 1 } }`))
  assert.deepEqual(redacted.counts, { pid: 1, ipv4: 1 })
  assert.ok(shown.includes(`redactRemoteAddr('203.0.113.7:52311') // '${redactRemoteAddr('203.0.113.7:52311')}'`))
})

it('hides without need what it says it does', () => {
  for (const text of ['1.2.3.4', 'GET /api/users/42', 'token: expired']) assert.notEqual(redactText(text).text, text)
})
