/**
 * The metrics of a trail, on the user's own prom-client registry. They are read when the registry is asked, so that
 * `emit` pays for no more than a count. Of prom-client only the registry's interface is used, nothing is loaded: an
 * import would be asynchronous or break bundles, and a copy of ours may not be the copy of the user.
 */

import { AuditError } from '../errors.ts'
import type { ForwarderState } from '../forward/standing.ts'
import type { SyncHistogram } from '../spool/sync-times.ts'
import type { EventCounts } from './counts.ts'
import { type AuditState, auditSpoolStates } from './state.ts'
import type { VerificationCounts } from './verification.ts'

/** As much of a prom-client `Registry` as metrics need. */
export interface MetricsRegistry {
  registerMetric(metric: RegisteredMetric): void
  getSingleMetric(name: string): unknown
  removeSingleMetric(name: string): void
}

/** What a registry asks of a metric. */
export interface RegisteredMetric {
  get(): Promise<unknown>
  reset(): void
}

const registryMethods = ['registerMetric', 'getSingleMetric', 'removeSingleMetric'] as const

export function isMetricsRegistry(value: unknown): value is MetricsRegistry {
  if (typeof value !== 'object' || value === null) return false
  return registryMethods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function')
}

/** What retention has done since the start. */
export interface RetentionCounts {
  readonly deleted: number
  /** Rounds that came to their end, and how long they took together. */
  readonly rounds: number
  readonly seconds: number
}

/** Where the values come from. */
export interface MetricSources {
  readonly state: () => AuditState
  readonly counts: EventCounts
  /** Since the start. */
  readonly suppressed: () => readonly { readonly rule: string; readonly count: number }[]
  readonly syncs: () => SyncHistogram
  readonly verification: () => VerificationCounts
  /** Absent where nothing is removed from here. */
  readonly retention: () => RetentionCounts | undefined
}

interface Sample {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  /** Where a series has another name than its metric: the parts of a histogram. */
  readonly metricName?: string
}

interface MetricDefinition {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  readonly help: string
  /** How prom-client joins the values of several processes of a cluster; default: their sum. */
  readonly aggregator?: 'sum' | 'max'
  readonly read: (sources: MetricSources) => Sample[]
}

/** Every metric of a trail; docs/operations.md lists them. */
export const metricDefinitions: readonly MetricDefinition[] = [
  {
    name: 'audit_log_entries_total',
    type: 'counter',
    help: 'Events recorded in the spool, by action (those named in metrics.actions, others _other) and outcome.',
    read: ({ counts }) => counts.recorded().map(({ count, ...labels }) => ({ value: count, labels })),
  },
  {
    name: 'audit_events_suppressed_total',
    type: 'counter',
    help: 'Events that the policy did not want, by rule.',
    read: ({ suppressed }) => suppressed().map(({ rule, count }) => ({ value: count, labels: { rule } })),
  },
  {
    name: 'audit_emergency_records_total',
    type: 'counter',
    help: 'Records that the spool could not take and that went to standard error.',
    read: ({ state }) => single(state().emergencies),
  },
  {
    name: 'audit_chain_head_sequence',
    type: 'gauge',
    help: 'Sequence of the last record sealed in the current stream.',
    aggregator: 'max', // each process has a stream of its own: a sum of sequences says nothing
    read: ({ state }) => single(state().sequence),
  },
  {
    name: 'audit_spool_state',
    type: 'gauge',
    help: 'State of the spool: 1 for the state that holds, 0 for the others.',
    read: ({ state }) => {
      const { spool } = state()
      return auditSpoolStates.map((one) => ({ value: one === spool ? 1 : 0, labels: { state: one } }))
    },
  },
  {
    name: 'audit_spool_size_bytes',
    type: 'gauge',
    help: 'Bytes of all segment files of the spool.',
    read: ({ state }) => single(state().bytes),
  },
  {
    name: 'audit_spool_sync_duration_seconds',
    type: 'histogram',
    help: 'Duration of the calls that make records durable (fdatasync).',
    read: ({ syncs }) => histogramSamples('audit_spool_sync_duration_seconds', syncs()),
  },
  {
    name: 'audit_sink_records_total',
    type: 'counter',
    help: 'Records that a destination has taken since the start.',
    read: ({ state }) => byDestination(state(), ({ delivered }) => delivered, { result: 'delivered' }),
  },
  {
    name: 'audit_log_sink_errors_total',
    type: 'counter',
    help: 'Sendings that a destination did not take.',
    read: ({ state }) => byDestination(state(), ({ failures }) => failures),
  },
  {
    name: 'audit_quarantined_records_total',
    type: 'counter',
    help: 'Records set aside since the start because a destination refuses them for ever.',
    read: ({ state }) => byDestination(state(), ({ quarantined }) => quarantined),
  },
  {
    name: 'audit_sink_backlog_records',
    type: 'gauge',
    help: 'Durable records that a destination has not confirmed yet; absent while unknown.',
    read: ({ state }) => byDestination(state(), ({ backlog }) => backlog),
  },
  {
    name: 'audit_outbox_backlog_records',
    type: 'gauge',
    help: 'Committed events that no sequencer has sealed yet, counted up to 100,000; absent without outbox.url.',
    aggregator: 'max', // each process counts the same outbox
    read: ({ state }) => single(state().outbox?.backlog),
  },
  {
    name: 'audit_retention_deleted_records_total',
    type: 'counter',
    help: 'Records that retention has removed from databases since the start; absent where it does not run.',
    read: ({ retention }) => single(retention()?.deleted),
  },
  {
    name: 'audit_retention_duration_seconds',
    type: 'summary',
    help: 'Duration of the rounds of retention that came to their end.',
    read: ({ retention }) => summarySamples('audit_retention_duration_seconds', retention()),
  },
  {
    name: 'audit_verify_findings',
    type: 'gauge',
    help: 'Findings of the last verification of the spool; absent before the first.',
    read: ({ verification }) => single(verification().findings),
  },
  {
    name: 'audit_verify_last_success_timestamp_seconds',
    type: 'gauge',
    help: 'When the spool was last verified without findings, in seconds since the epoch; absent before the first time.',
    aggregator: 'max',
    read: ({ verification }) => single(verification().lastSuccess),
  },
]

/** Registers the metrics; the returned function takes them away again. Throws `INVALID_OPTION` where one is taken. */
export function registerMetrics(registry: MetricsRegistry | undefined, sources: MetricSources): () => void {
  if (registry === undefined) return () => {}
  const taken = metricDefinitions.find(({ name }) => registry.getSingleMetric(name) !== undefined)
  if (taken !== undefined) {
    throw new AuditError('INVALID_OPTION', `metrics.registry has a metric ${taken.name} already`, {
      setting: 'metrics.registry',
      hint: 'Give each open trail a registry of its own; two trails on one would be told apart by nothing.',
    })
  }
  for (const definition of metricDefinitions) registry.registerMetric(new PulledMetric(definition, sources))
  return () => {
    for (const { name } of metricDefinitions) registry.removeSingleMetric(name)
  }
}

/** What prom-client's registry knows as a metric; it keeps no values. */
class PulledMetric implements RegisteredMetric {
  /** Not constant: for OpenMetrics the registry takes `_total` off the name of a counter. */
  name: string
  readonly help: string
  readonly type: string
  readonly aggregator: string
  readonly #read: () => Sample[]

  constructor({ name, help, type, aggregator = 'sum', read }: MetricDefinition, sources: MetricSources) {
    this.name = name
    this.help = help
    this.type = type
    this.aggregator = aggregator
    this.#read = () => read(sources)
  }

  get(): Promise<unknown> {
    const { name, help, type, aggregator } = this
    return Promise.resolve({ name, help, type, aggregator, values: this.#read() })
  }

  /** The values are the trail's and stay as they are. */
  reset(): void {}
}

function single(value: number | undefined): Sample[] {
  return value === undefined ? [] : [{ value, labels: {} }]
}

function byDestination(
  { destinations }: AuditState,
  read: (state: ForwarderState) => number | undefined,
  more: Readonly<Record<string, string>> = {},
): Sample[] {
  return destinations.flatMap((state) => {
    const value = read(state)
    return value === undefined ? [] : [{ value, labels: { destination: state.name, ...more } }]
  })
}

function summarySamples(name: string, counts: RetentionCounts | undefined): Sample[] {
  if (counts === undefined) return []
  return [
    { value: counts.seconds, labels: {}, metricName: `${name}_sum` },
    { value: counts.rounds, labels: {}, metricName: `${name}_count` },
  ]
}

function histogramSamples(name: string, { buckets, count, sumSeconds }: SyncHistogram): Sample[] {
  return [
    ...buckets.map((one) => ({ value: one.count, labels: { le: one.upToSeconds }, metricName: `${name}_bucket` })),
    { value: count, labels: { le: '+Inf' }, metricName: `${name}_bucket` },
    { value: sumSeconds, labels: {}, metricName: `${name}_sum` },
    { value: count, labels: {}, metricName: `${name}_count` },
  ]
}
