/** docs/policy.md against the code: every table, every example, the draw that it shows, the output of `policy test`. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { detailsOf } from '../../src/audit/suppressions.ts'
import { command } from '../../src/cli/policy.ts'
import { canonicalize } from '../../src/event/canonical.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { actorTypes, type Operation, type Outcome, operations } from '../../src/event/event.ts'
import { factsOf } from '../../src/event/facts.ts'
import { checkPolicy } from '../../src/policy/check.ts'
import { type Level, levelKeeps, levels } from '../../src/policy/level.ts'
import { compilePolicy, type Decision, describePolicy } from '../../src/policy/policy.ts'
import type { PolicyOptions } from '../../src/policy/policy-options.ts'
import { conditions, effects } from '../../src/policy/rules.ts'
import { compileDraw, thresholdOf } from '../../src/policy/sample.ts'
import type { SuppressionWindow } from '../../src/spool/running-counts.ts'
import { makeKeys, TrailWriter, toNdjson } from '../support/trail.ts'
import { fencesOf, quotedIn, readDocument, tableOf } from './markdown.ts'

const document = readDocument('docs/policy.md')
const outcomes: readonly Outcome[] = ['success', 'failure', 'denied', 'unknown']

/** The example under `<!-- policy: NAME -->`. */
function exampleText(name: string): string {
  const fence = fencesOf(document).find(({ marker }) => marker === `policy: ${name}`)
  assert.ok(fence !== undefined, `no example ${name}`)
  return fence.text
}

/** What a cell of the table says about an outcome. */
const cellKeeps: Readonly<Record<string, (outcome: Outcome) => boolean>> = {
  kept: () => true,
  '–': () => false,
  'only if denied': (outcome) => outcome === 'denied',
  'unless a success': (outcome) => outcome !== 'success',
}

it('the level table says what the level does, cell by cell', () => {
  const columns = levels.map((level) => `\`${level}\``)
  let cells = 0
  for (const [names = '', ...row] of tableOf(document, 'operation', ...columns)) {
    for (const operation of quotedIn(names) as Operation[]) {
      for (const [index, cell] of row.entries()) {
        for (const outcome of outcomes) {
          const level = levels[index] as Level
          assert.equal(cellKeeps[cell]?.(outcome), levelKeeps(level, operation, outcome), `${operation} under ${level}`)
          cells += 1
        }
      }
    }
  }
  assert.equal(cells, operations.length * levels.length * outcomes.length)
})

it('the order of the questions is that of the policy, with the names that it counts under', () => {
  const event = factsOf(
    convertEvent({ action: 'health_check', operation: 'read', target: { resource_type: 'metric' } }),
  )
  const sampling = { sampleReads: 0, sampleRate: 0, sampleSecret: 's' }
  const rows: readonly (readonly PolicyOptions[])[] = [
    [{ enabled: false }],
    [{ level: 'writes_only' }],
    [{ excludeActions: ['health_*'] }, { excludeResources: ['metric'] }],
    [{ rules: [{ id: 'ID', effect: 'drop' }] }],
    [sampling],
  ]
  const table = tableOf(document, 'question', 'setting', 'name of the rule').map((cells) => quotedIn(cells[2] ?? ''))
  assert.equal(table.length, rows.length)
  for (const [index, own] of rows.entries()) {
    for (const options of own) {
      const later: PolicyOptions = Object.assign({ level: 'all' }, ...rows.slice(index + 1).flat())
      const decision = compilePolicy({ ...later, ...options }).decide(event, () => 'c')
      assert.ok(table[index]?.includes(decision.rule ?? ''), `${decision.rule} is not in row ${index + 1}`)
    }
  }
})

it('effects and conditions are all there, and no others', () => {
  assert.deepEqual(
    tableOf(document, 'effect', 'meaning').map(([effect = '']) => effect),
    effects.map((effect) => `\`${effect}\``),
  )
  const rows = tableOf(document, 'condition', 'looks at', 'form')
  assert.deepEqual(rows.flatMap(([condition = '']) => quotedIn(condition)).sort(), [...conditions].sort())
  const formOf = (name: string) => quotedIn(rows.find(([condition]) => condition === `\`${name}\``)?.[2] ?? '')
  assert.deepEqual(formOf('actorType'), actorTypes)
  assert.deepEqual(formOf('outcome'), outcomes)
})

describe('the example policy', () => {
  const policy = JSON.parse(exampleText('example')) as PolicyOptions
  const rows = tableOf(document, 'event', 'what happens').map(([event = '', result = '']) => ({
    event: JSON.parse(quotedIn(event)[0] ?? '') as Record<string, unknown>,
    result,
  }))

  it('does to each event what the table says', () => {
    assert.deepEqual(checkPolicy(policy), [])
    const compiled = compilePolicy(policy)
    for (const { event, result } of rows) {
      const decision = compiled.decide(factsOf(convertEvent(event)), () => 'c')
      assert.equal(describeDecision(decision), result, JSON.stringify(event))
    }
    const named = rows.flatMap(({ result }) => quotedIn(result).filter((name) => name.includes(':')))
    assert.equal(
      new Set(named).size,
      (policy.rules?.length ?? 0) + (policy.excludeActions?.length ?? 0),
      'each rule is shown',
    )
  })

  it('tried on these events prints what is shown', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'otel-audit-docs-'))
    try {
      const trail = new TrailWriter('019b7c2f-1111-7000-8000-000000000001', makeKeys('prod'))
      for (const { event } of rows) trail.seal({ operation: undefined, outcome: undefined, ...event })
      writeFileSync(join(folder, 'trail.ndjson'), toNdjson(trail.lines))
      writeFileSync(join(folder, 'policy.json'), exampleText('example'))
      let out = ''
      const stdout = { write: (text: string) => (out += text) }
      const argv = ['--policy', join(folder, 'policy.json'), join(folder, 'trail.ndjson'), '--examples', '1']
      await command.commands[0]?.run(argv, { stdout, stderr: stdout, env: {} })
      assert.equal(out.replaceAll(`${folder}/`, ''), exampleText('test'))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

function describeDecision(decision: Decision): string {
  if (!decision.kept) return `\`${decision.rule}\``
  const by = decision.rule === undefined ? 'recorded' : `recorded by \`${decision.rule}\``
  return decision.isMetadata ? `${by}, without \`details\` and \`changes\`` : by
}

it('the exclusions are allowed as they are shown', () => {
  const shown = fencesOf(document).find(({ text }) => text.includes('excludeResources'))
  assert.deepEqual(checkPolicy(JSON.parse(shown?.text ?? '') as PolicyOptions), [])
})

it('the draw is as described: threshold, digits, and that it is recorded', () => {
  const { sampling } = JSON.parse(exampleText('sampling')) as { sampling: { rate: number; threshold: number } }
  assert.equal(thresholdOf(sampling.rate), sampling.threshold)
  const [, secret = '', digits = ''] =
    /With the secret `(.*?)` the first twelve digits of this\nare `([0-9a-f]{12})`/.exec(document) ?? []
  const [, id = ''] = /printf 'otel-audit\.sample\\0%s' (\w+) \| openssl dgst -sha256 -hmac '(.*)'/.exec(document) ?? []
  assert.equal(compileDraw(secret)(id), Number.parseInt(digits, 16))
  assert.ok(document.includes(`-hmac '${secret}'`))
  assert.ok(Number.parseInt(digits, 16) < sampling.threshold)
  const policy = compilePolicy({ level: 'all', sampleRate: sampling.rate, sampleSecret: secret })
  assert.deepEqual(
    policy.decide(factsOf(convertEvent({ action: 'a' })), () => id),
    {
      ...{ kept: true, rule: undefined, isMetadata: false },
      sampling,
    },
  )
})

it('the counts are in the form in which they are sealed', () => {
  const shown = JSON.parse(exampleText('suppressed')) as SuppressionWindow
  assert.deepEqual(detailsOf({ epoch: 1, ...shown }), shown)
  for (const { id, operation, outcome } of shown.rules) {
    assert.match(id, /^(?:level|exclude_action):/)
    assert.ok(operations.includes(operation as Operation) && outcomes.includes(outcome))
  }
})

it('the hash is that of the canonical form of what is shown', () => {
  const shown = canonicalize(JSON.parse(exampleText('hash')))
  const policy: PolicyOptions = {
    level: 'all',
    excludeActions: ['health_*'],
    rules: [{ id: 'support', effect: 'metadata', when: { actorType: 'agent', action: 'ticket.*' } }],
  }
  assert.equal(canonicalize(describePolicy(policy)), shown)
  assert.equal(compilePolicy(policy).hash, createHash('sha256').update(shown).digest('hex'))
})
