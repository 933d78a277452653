/** `otel-audit policy test`: what it counts, what it says of what it cannot know, what is wrong with its arguments. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { command } from '../../src/cli/policy.ts'
import type { PolicyTest } from '../../src/cli/policy-replay.ts'
import { AuditError } from '../../src/errors.ts'
import { compileDraw, thresholdOf } from '../../src/policy/sample.ts'
import { freshFolder, openAudit } from '../audit/opened.ts'
import { makeKeys, TrailWriter, toNdjson, toOtlp } from '../support/trail.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-policy-'))
after(() => rmSync(folder, { recursive: true }))

const stream = '019b7c2f-1111-7000-8000-000000000001'

/** Twelve events, then the account of what was not recorded. One second apart, the first at 03:04:06. */
function makeLines(): string[] {
  const trail = new TrailWriter(stream, makeKeys('prod'))
  for (let index = 0; index < 12; index++) {
    trail.seal({
      action: index < 4 ? 'invoice.update' : 'invoice.read',
      operation: index < 4 ? 'update' : 'read',
      outcome: index === 11 ? 'denied' : 'success',
      actor: { type: 'user', id: index % 2 === 0 ? 'crawler-1' : 'u-1' },
      target: { resource_type: 'invoice', id: String(index) },
      correlation_id: `c-${index}`,
    })
  }
  const rules = [
    { id: 'level:writes_only', operation: 'read', outcome: 'success', count: 120 },
    { id: 'rule:x', operation: 'read', outcome: 'success', count: 3 },
  ]
  trail.seal({
    action: 'audit.suppressed',
    event_type: 'audit.suppressed',
    details: { from: 'f', to: 't', policy: 'p', rules },
  })
  return trail.lines
}

function file(name: string, content: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const lines = makeLines()
const trail = file('trail.ndjson', toNdjson(lines))
const policy = {
  level: 'all',
  excludeActions: ['health*'],
  rules: [
    { id: 'thin', effect: 'metadata', when: { operation: 'update' } },
    { id: 'crawlers', effect: 'drop', when: { actor: 'crawler-*' } },
    { id: 'vip', effect: 'keep', when: { tenant: 'vip' } },
  ],
}
const policyFile = file('policy.json', policy)

async function run(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', '']
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    env,
  }
  const [test] = command.commands
  assert.ok(test !== undefined)
  return { code: await test.run(argv, io), out, err }
}

async function report(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<PolicyTest> {
  const { code, out } = await run([...argv, '--json'], env)
  assert.equal(code, 0)
  return JSON.parse(out) as PolicyTest
}

describe('otel-audit policy test', () => {
  it('counts what the policy would have recorded and what not, by rule', async () => {
    const tested = await report(['--policy', policyFile, trail])
    assert.deepEqual(
      tested.rules.map(({ rule, result, events }) => [rule, result, events]),
      [
        ['rule:thin', 'metadata', 4],
        ['rule:crawlers', 'suppressed', 4],
        [null, 'recorded', 4],
      ],
    )
    const { events, recorded, suppressed, unused, suppressedBefore, unreadable, notes } = tested
    assert.deepEqual({ events, recorded, suppressed }, { events: 12, recorded: 8, suppressed: 4 })
    assert.deepEqual(unused, ['exclude_action:health*', 'rule:vip'])
    assert.deepEqual({ suppressedBefore, unreadable, notes }, { suppressedBefore: 123, unreadable: 0, notes: [] })
    assert.deepEqual(tested.sources, [{ name: trail, kind: 'ndjson', events: 12 }])
    assert.deepEqual([tested.from, tested.to], ['2026-01-02T03:04:06.000000000Z', '2026-01-02T03:04:17.000000000Z'])
  })

  it('shows examples, which are members of the records', async () => {
    const { rules } = await report(['--policy', policyFile, trail, '--examples', '1'])
    assert.deepEqual(rules[1]?.examples, [
      {
        stream,
        seq: 5,
        timestamp: '2026-01-02T03:04:10.000000000Z',
        action: 'invoice.read',
        operation: 'read',
        outcome: 'success',
        actor: { id: 'crawler-1', type: 'user' },
        target: { id: '4', resource_type: 'invoice' },
      },
    ])
    assert.deepEqual((await report(['--policy', policyFile, trail, '--examples=0'])).rules[0]?.examples, [])
  })

  it('says all of it to people, with what cannot be replayed', async () => {
    const { code, out, err } = await run(['--policy', policyFile, trail])
    assert.deepEqual([code, err], [0, ''])
    assert.match(
      out,
      /^.*trail\.ndjson \(ndjson\): 12 events\nfrom 2026-01-02T03:04:06\.0+Z to 2026-01-02T03:04:17\.0+Z\n/,
    )
    assert.match(out, /\nwould be recorded: 8 events \(66\.7 %\)\n/)
    assert.match(
      out,
      /\n {2}rule:thin, without details and changes: 4 events\n {6}#1 .* by user crawler-1 on invoice 0\n/,
    )
    assert.match(out, /\n {2}no rule: 4 events\n/)
    assert.match(
      out,
      /\nwould not be recorded: 4 events \(33\.3 %\)\n {2}rule:crawlers: 4 events\n(?: {6}#.*\n){3} {6}…\n/,
    )
    assert.match(out, /\ndecided about no event: exclude_action:health\*, rule:vip\n/)
    assert.match(out, /cannot be replayed; the sources count 123 such events\.\n/)
  })

  it('reads every source that verify reads, one after the other', async () => {
    const collected = file('collector.jsonl', toOtlp(lines))
    const { events, sources } = await report(['--policy', policyFile, trail, collected])
    assert.equal(events, 24)
    assert.deepEqual(
      sources.map(({ kind, events: own }) => [kind, own]),
      [
        ['ndjson', 12],
        ['otlp', 12],
      ],
    )
  })

  it('reads the spool of a trail, and what that says it suppressed', async (t) => {
    const own = freshFolder(t)
    const audit = openAudit(own, { policy: { level: 'writes_only' } })
    for (const operation of ['read', 'read', 'create', 'update'] as const) audit.emit({ action: 'a', operation })
    await audit.close()
    const { events, suppressed, suppressedBefore, sources } = await report(['--policy', policyFile, join(own, 'spool')])
    assert.deepEqual({ events, suppressed, suppressedBefore }, { events: 2, suppressed: 0, suppressedBefore: 2 })
    assert.equal(sources[0]?.kind, 'spool')
  })

  it('takes the events of a time: from --since on, before --until', async () => {
    const between = (since: string, until: string) =>
      report(['--policy', policyFile, trail, '--since', since, '--until', until])
    const { events, from, to, suppressedBefore } = await between('2026-01-02T03:04:08Z', '2026-01-02T04:04:10+01:00')
    assert.deepEqual([events, suppressedBefore], [2, 0])
    assert.deepEqual([from, to], ['2026-01-02T03:04:08.000000000Z', '2026-01-02T03:04:09.000000000Z'])
    assert.equal((await between('2026-01-02', '2026-01-03')).events, 12)
  })

  it('takes a whole configuration file', async () => {
    const config = file('config.json', { $schema: 'x', service: 'billing', policy, destinations: [{ type: 'stdout' }] })
    assert.equal((await report(['--policy', config, trail])).suppressed, 4)
  })

  it('takes the presets of a profile, and what the profile refuses', async () => {
    const { recorded } = await report(['--policy', file('profile.json', { profile: 'strict' }), trail])
    assert.equal(recorded, 12)
    const thinned = file('thinned.json', { profile: 'strict', policy: { level: 'writes_only' } })
    await assert.rejects(run(['--policy', thinned, trail]), {
      setting: 'policy.level',
      message: /^.*thinned\.json: policy\.level/,
    })
  })

  it('has the defaults of a start: without a level, writes_only', async () => {
    const { rules } = await report(['--policy', file('empty.json', '{}'), trail])
    assert.deepEqual(
      rules.map(({ rule, result, events }) => [rule, result, events]),
      [
        ['level:writes_only', 'suppressed', 7],
        [null, 'recorded', 5],
      ],
    )
  })

  it('draws with the secret of the environment, so that it tells the very traces', async () => {
    const sampled = file('sampled.json', { level: 'all', sampleRate: 0.5, sampleReads: 0.5 })
    const secretFile = file('secret', 'a secret of the deployment\n')
    rmSync(secretFile)
    writeFileSync(secretFile, 'a secret of the deployment\n', { mode: 0o600 })
    const bySecret = await report(['--policy', sampled, trail], {
      AUDIT_POLICY_SAMPLE_SECRET: 'a secret of the deployment',
    })
    assert.deepEqual(bySecret.notes, [])
    const draw = compileDraw('a secret of the deployment')
    const drawn = Array.from({ length: 11 }, (_, index) => draw(`c-${index}`)).filter((one) => one < thresholdOf(0.5))
    assert.equal(bySecret.recorded, drawn.length + 1, 'the last event was denied, which no rate takes away')
    assert.ok(drawn.length > 0 && drawn.length < 11)
    assert.deepEqual(
      await report(['--policy', sampled, trail], { AUDIT_POLICY_SAMPLE_SECRET_FILE: secretFile }),
      bySecret,
    )
    const own = file('own.json', {
      level: 'all',
      sampleRate: 0.5,
      sampleReads: 0.5,
      sampleSecret: 'a secret of the deployment',
    })
    assert.deepEqual(await report(['--policy', own, trail]), bySecret)
    const { notes } = await report(['--policy', sampled, trail])
    assert.match(notes[0] ?? '', /no sampling secret was given, so one was made up/)
  })

  it('counts places that hold no record, and goes on', async () => {
    const damaged = file(
      'damaged.ndjson',
      toNdjson([...lines.slice(0, 2), '{"action":', '[]', 'null', ...lines.slice(2)]),
    )
    const { events, unreadable } = await report(['--policy', policyFile, damaged])
    assert.deepEqual([events, unreadable], [12, 3])
    assert.match(
      (await run(['--policy', policyFile, damaged])).out,
      /3 places held no record: otel-audit verify says why/,
    )
  })

  it('prints nothing of a source that moves the cursor', async () => {
    const evil = file('evil.ndjson', toNdjson([(lines[0] ?? '').replace('invoice.update', 'in\\u001b[2Jvoice')]))
    const { out } = await run(['--policy', policyFile, evil])
    assert.ok(!out.includes('\u001b'))
    assert.ok(out.includes('in\\u001b[2Jvoice'))
  })

  it('ends with 2 when no event was found', async () => {
    const { code, out } = await run(['--policy', policyFile, trail, '--since', '2027-01-01'])
    assert.equal(code, 2)
    assert.match(out, /no event was found: nothing can be said about the policy/)
  })
})

describe('otel-audit policy test refuses', () => {
  const table: readonly (readonly [string, readonly string[], string, RegExp])[] = [
    ['no source', ['--policy', policyFile], 'SOURCE', /SOURCE is missing/],
    ['no policy', [trail], '--policy', /--policy is missing/],
    [
      'a policy file that is not there',
      ['--policy', join(folder, 'no'), trail],
      '--policy',
      /names .*no, which does not exist/,
    ],
    ['a policy file that is no JSON', ['--policy', trail, trail], '--policy', /which is no JSON/],
    [
      'a rule that cannot be meant',
      ['--policy', file('star.json', { excludeActions: ['*x'] }), trail],
      'policy.excludeActions[0]',
      /star\.json: policy\.excludeActions\[0\] is "\*x"; allowed: a text with \* at its end only/,
    ],
    [
      'an unknown member',
      ['--policy', file('typo.json', { lvl: 'all' }), trail],
      'policy.lvl',
      /typo\.json: policy\.lvl/,
    ],
    [
      'a wrong level',
      ['--policy', file('level.json', { policy: { level: 'none' } }), trail],
      'policy.level',
      /level\.json: policy\.level is "none"/,
    ],
    [
      'a policy that is no object',
      ['--policy', file('number.json', { policy: 5 }), trail],
      'policy',
      /number\.json: policy is 5; allowed/,
    ],
    ['a policy that is null', ['--policy', file('null.json', { policy: null }), trail], 'policy', /policy is null/],
    [
      'rates that are no numbers',
      ['--policy', file('rates.json', { sampleRate: '0.5' }), trail],
      'policy.sampleRate',
      /policy\.sampleRate is "0\.5"; allowed: a number from 0 to 1/,
    ],
    ['a source that is not there', ['--policy', policyFile, join(folder, 'absent')], 'SOURCE', /no such file/],
    [
      'a time that is none',
      ['--policy', policyFile, trail, '--since', 'yesterday'],
      '--since',
      /--since is yesterday; allowed: a day or an RFC 3339 time/,
    ],
    ['very many examples', ['--policy', policyFile, trail, '--examples', '101'], '--examples', /from 0 to 100/],
    ['an unknown option', ['--polcy', policyFile, trail], '--polcy', /unknown option --polcy/],
  ]
  for (const [title, argv, setting, message] of table) {
    it(title, async () => {
      const thrown: unknown = await run(argv).then(
        () => assert.fail('it ran'),
        (error: unknown) => error,
      )
      assert.ok(thrown instanceof AuditError)
      assert.equal(thrown.setting, setting)
      assert.match(thrown.message, message)
      assert.notEqual(thrown.hint, '')
    })
  }
})
