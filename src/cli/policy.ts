/**
 * `otel-audit policy test`: tries a policy on past records before it is put in force. Reads the sources as `verify` does
 * and writes nothing. What a trail has not recorded cannot be tried; the report says how much that was.
 */

import { normalizeTimestamp } from '../clock.ts'
import { AuditError } from '../errors.ts'
import { expandSource, openSource } from '../verify/sources.ts'
import { type Command, type CommandGroup, parseOptions, requireOption } from './command.ts'
import { readPolicyFile } from './policy-file.ts'
import { type PolicyTest, type PolicyTestExample, type PolicyTestRule, Replay } from './policy-replay.ts'
import { printable } from './printable.ts'
import { startProgress } from './progress.ts'
import { formatCount } from './spool-arguments.ts'

const test: Command = {
  name: 'policy test',
  summary: 'what another policy would have recorded of past events',
  help: `Usage: otel-audit policy test --policy FILE SOURCE... [--since TIME] [--until TIME] [--examples N] [--json]

Replays the events of past records through the policy in FILE, and prints how many it would have recorded and how
many not, by rule, with examples. Changes nothing. Name each trail once: copies count twice.

Events that were not recorded in the past cannot be replayed. How many the trail itself says there were
(audit.suppressed) is printed, so that you know what the answer leaves out.

FILE is JSON: a configuration file with "policy" in it, or the members of "policy" alone. The sampling secret may
come from AUDIT_POLICY_SAMPLE_SECRET or AUDIT_POLICY_SAMPLE_SECRET_FILE; without one the shares are right, but
not the choice of traces.

SOURCE is a spool directory or one of slots, an NDJSON file, an OTLP JSON file of a collector, postgres://..., or - for standard
input; its kind is found by looking.

Options:
  --policy FILE  the policy to try
  --since TIME   only events that happened at this time or later: 2026-11-01, 2026-11-01T08:00:00Z
  --until TIME   only events that happened before this time
  --examples N   how many examples of each rule are shown, 0 to 100 (default 3)
  --json         print one JSON object (type PolicyTest)
  -h, --help     show this

Exit codes: 0 done, 2 could not (no event was found, a source cannot be read, the policy is not allowed).

Examples:
  otel-audit policy test --policy ./policy.json ./audit-spool
  otel-audit policy test --policy ./audit.config.json postgres://localhost/app --since 2026-11-01 --json
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    requireOption(positionals[0], 'SOURCE')
    const { policy, rules, notes } = readPolicyFile(requireOption(values.policy, '--policy'), '--policy', io.env)
    const replay = new Replay({
      policy,
      examplesMax: readCount(values.examples),
      since: readTime(values.since, '--since'),
      until: readTime(values.until, '--until'),
    })
    const progress = startProgress(io)
    const sources: PolicyTest['sources'][number][] = []
    // One after the other, so that memory is that of one.
    for (const name of positionals.flatMap(expandSource)) {
      sources.push(await replaySource(name, replay, (text) => progress.show(text)))
    }
    progress.clear()
    const report = replay.report({ sources, notes }, rules)
    io.stdout.write(values.json ? `${JSON.stringify(report)}\n` : formatReport(report))
    return report.events === 0 ? 2 : 0
  },
}

const options = {
  policy: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  examples: { type: 'string', default: '3' },
  json: { type: 'boolean', default: false },
} as const

export const command: CommandGroup = {
  name: 'policy',
  summary: 'try a policy on past records: test',
  commands: [test],
}

async function replaySource(
  given: string,
  replay: Replay,
  show: (text: string) => void,
): Promise<PolicyTest['sources'][number]> {
  const source = await openSource(given)
  const before = replay.events
  for await (const group of source.read()) {
    for (const found of group) {
      if (found.damage === undefined) replay.add(found.bytes)
      else replay.addUnreadable()
    }
    show(`${printable(source.name)}: ${formatCount(replay.events - before, 'event')}`)
  }
  return { name: source.name, kind: source.kind, events: replay.events - before }
}

function readCount(text: string): number {
  const count = Number(text)
  if (/^\d+$/.test(text) && count <= 100) return count
  throw new AuditError('INVALID_OPTION', `--examples is ${text}; allowed: a whole number from 0 to 100`, {
    setting: '--examples',
    hint: 'leave it out for three examples of each rule',
  })
}

/** A time, or the beginning of a day, in the form that records have. */
function readTime(text: string | undefined, setting: string): string | undefined {
  if (text === undefined) return undefined
  const time = normalizeTimestamp(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)
  if (time !== undefined) return time
  throw new AuditError('INVALID_OPTION', `${setting} is ${text}; allowed: a day or an RFC 3339 time`, {
    setting,
    hint: 'write 2026-11-01, or 2026-11-01T08:00:00Z, or with an offset 2026-11-01T08:00:00+01:00',
  })
}

function formatReport(report: PolicyTest): string {
  const { sources, events, from, to, rules, unused, suppressedBefore, unreadable, notes } = report
  const lines = [
    ...sources.map(({ name, kind, events: own }) => `${printable(name)} (${kind}): ${formatCount(own, 'event')}`),
    ...(events === 0 ? ['no event was found: nothing can be said about the policy'] : []),
    ...(from === null || to === null ? [] : [`from ${printable(from)} to ${printable(to)}`]),
    '',
    ...formatShare('would be recorded', report.recorded, report),
    ...rules.filter(({ result }) => result !== 'suppressed').flatMap(formatRule),
    ...formatShare('would not be recorded', report.suppressed, report),
    ...rules.filter(({ result }) => result === 'suppressed').flatMap(formatRule),
    ...(unused.length === 0 ? [] : ['', `decided about no event: ${unused.map(printable).join(', ')}`]),
    '',
    suppressedBefore === 0
      ? 'What was not recorded in the past cannot be replayed; the sources count no such event.'
      : `What was not recorded in the past cannot be replayed; the sources count ${formatCount(suppressedBefore, 'such event')}.`,
    ...(unreadable === 0 ? [] : [`${formatCount(unreadable, 'place')} held no record: otel-audit verify says why`]),
    ...notes.map((note) => `note: ${note}`),
  ]
  return `${lines.join('\n')}\n`
}

function formatShare(title: string, count: number, { events }: PolicyTest): string[] {
  if (events === 0) return []
  return [`${title}: ${formatCount(count, 'event')} (${((100 * count) / events).toFixed(1)} %)`]
}

function formatRule({ rule, result, events, examples }: PolicyTestRule): string[] {
  const name = rule === null ? 'no rule' : printable(rule)
  const how = result === 'metadata' ? ', without details and changes' : ''
  const more = events > examples.length && examples.length > 0 ? ['      …'] : []
  return [`  ${name}${how}: ${formatCount(events, 'event')}`, ...examples.map(formatExample), ...more]
}

function formatExample({ seq, timestamp, action, operation, outcome, actor, target }: PolicyTestExample): string {
  const who = wordsOf(actor, 'type', 'id')
  const what = wordsOf(target, 'resource_type', 'id')
  const words = [
    ...[`#${seq}`, timestamp, action, `(${operation ?? 'other'}, ${outcome ?? 'unknown'})`],
    ...(who === '' ? [] : [`by ${who}`]),
    ...(what === '' ? [] : [`on ${what}`]),
  ]
  return `      ${printable(words.join(' '))}`
}

function wordsOf(holder: PolicyTestExample['actor'], ...names: readonly string[]): string {
  if (typeof holder !== 'object' || holder === null || Array.isArray(holder)) return ''
  return names.flatMap((name) => (typeof holder[name] === 'string' ? [holder[name]] : [])).join(' ')
}
