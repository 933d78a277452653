/**
 * The filters of `otel-audit query` as options: their help, and what a user may write for each. A value that cannot be
 * meant is refused here, because a query that finds nothing looks like a trail that holds nothing.
 */

import { nearest } from '../audit/nearest.ts'
import { normalizeTimestamp, nowMs } from '../clock.ts'
import { AuditError } from '../errors.ts'
import { outcomes } from '../event/event.ts'
import { type Condition, happened, isEvent, referenceIs, textIs, traceIs } from '../postgres/filter.ts'

export const filterOptions = {
  actor: { type: 'string' },
  action: { type: 'string' },
  target: { type: 'string' },
  trace: { type: 'string' },
  correlation: { type: 'string' },
  outcome: { type: 'string' },
  level: { type: 'string' },
  tenant: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  'slack-days': { type: 'string' },
  controls: { type: 'boolean', default: false },
} as const

export const filterHelp = `Filters (all must hold):
  --actor WHO         ID, TYPE:ID, or TYPE: for any of this type
  --action NAME       an action; with * at its end, all that begin so: 'invoice.*'
  --target WHAT       as --actor; looks at target, not at the list targets
  --trace ID          32 hex digits, or a traceparent header
  --correlation ID    a correlation id
  --outcome OUTCOME   ${outcomes.join(', ')}
  --level LEVEL       the policy level under which it was kept
  --tenant TENANT     a tenant
  --since TIME        happened at or after: RFC 3339, a date (UTC), or 90s, 15m, 24h, 7d for that long ago
  --until TIME        happened before
  --slack-days DAYS   with --since or --until, pass over what was sealed more than so many days from when it happened
                      (default 7); that lets the database leave out whole partitions
  --controls          also what the trail records about itself; always with an action that begins with audit.
`

export type FilterValues = Readonly<Partial<Record<Exclude<keyof typeof filterOptions, 'controls'>, string>>> & {
  readonly controls: boolean
}

/** Throws `INVALID_OPTION` for what cannot be meant. */
export function readFilter(values: FilterValues): readonly Condition[] {
  const { actor, action, target, trace, correlation, outcome, level, tenant, since, until, controls } = values
  for (const [name, value] of Object.entries(values)) if (value === '') throw refuse(name, value, 'a value')
  return [
    ...(controls || action?.startsWith('audit.') ? [] : [isEvent]),
    ...(actor === undefined ? [] : [referenceIs('actor', actor)]),
    ...(action === undefined ? [] : [textIs('action', action)]),
    ...(target === undefined ? [] : [referenceIs('target', target)]),
    ...(trace === undefined ? [] : [traceIs(readTraceId(trace))]),
    ...(correlation === undefined ? [] : [textIs('correlation_id', correlation)]),
    ...(outcome === undefined ? [] : [textIs('outcome', readOutcome(outcome))]),
    ...(level === undefined ? [] : [textIs('level', level)]),
    ...(tenant === undefined ? [] : [textIs('tenant', tenant)]),
    ...(since === undefined && until === undefined ? [] : [readRange(values)]),
  ]
}

/** The filters that were given, as they were written: what is recorded of a query. */
export function describeFilter(values: FilterValues): Readonly<Record<string, string | boolean>> {
  const given = Object.keys(filterOptions).flatMap((name) => {
    const value = values[name as keyof FilterValues]
    return value === undefined || value === false ? [] : [[name, value] as const]
  })
  return Object.fromEntries(given)
}

function readRange(values: FilterValues): Condition {
  const range = { since: readTime('since', values.since), until: readTime('until', values.until) }
  if (range.since !== undefined && range.until !== undefined && range.since >= range.until) {
    throw refuse('until', values.until ?? '', `a time after --since ${values.since}`)
  }
  const days = Number(values['slack-days'] ?? 7)
  if (days >= 0 && days <= 36_500) return happened({ ...range, slackMs: days * 86_400_000 })
  throw refuse('slack-days', values['slack-days'] ?? '', 'a number of days from 0 to 36500')
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** In UTC with microseconds, as the columns are written. */
function readTime(name: 'since' | 'until', text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (unit !== undefined) return microseconds(new Date(nowMs() - Number(count) * (unitMs[unit] ?? 0)).toISOString())
  const written = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text
  const at = microseconds(written)
  if (at !== undefined) return at
  throw refuse(name, text, '2026-11-22T17:00:00Z, a date as 2026-11-22, or 90s, 15m, 24h, 7d')
}

function microseconds(time: string): string | undefined {
  const at = normalizeTimestamp(time)
  return at === undefined ? undefined : `${at.slice(0, 26)}Z`
}

function readTraceId(text: string): string {
  const lower = text.toLowerCase()
  const [, inHeader] = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(lower) ?? []
  // As uuid too: so the database prints it.
  const id = inHeader ?? lower.replaceAll('-', '')
  if (/^[0-9a-f]{32}$/.test(id)) return id
  throw refuse('trace', text, '32 hex digits, or a traceparent header')
}

function readOutcome(text: string): string {
  if ((outcomes as readonly string[]).includes(text)) return text
  const meant = nearest(text, outcomes)
  throw refuse('outcome', text, `${outcomes.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`)
}

function refuse(name: string, value: unknown, allowed: string): AuditError {
  return new AuditError('INVALID_OPTION', `--${name} is ${JSON.stringify(value)}; allowed: ${allowed}`, {
    setting: `--${name}`,
    hint: 'run otel-audit query --help for the filters',
  })
}
