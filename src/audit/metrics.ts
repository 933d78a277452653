/**
 * The metrics of a trail. They are read when the registry is asked, so that `emit` pays for no more than a count. Labels
 * never hold tenants, actors, trace ids or free-form actions.
 */

import { anchorMetrics } from './anchor-metrics.ts'
import type { EventCounts } from './counts.ts'
import {
  type Durations,
  type Histogram,
  histogramSamples,
  type MetricDefinition,
  single,
  summarySamples,
} from './metric.ts'
import { outboxMetric, type SinkSources, sinkMetrics } from './sink-metrics.ts'
import { type AuditState, auditSpoolStates } from './state.ts'
import type { VerificationCounts } from './verification.ts'

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
  readonly syncs: () => Histogram
  readonly verification: () => VerificationCounts
  /** Absent where nothing is removed from here. */
  readonly retention: () => RetentionCounts | undefined
}

/** Every metric of a trail; docs/operations.md lists them. */
export const metricDefinitions: readonly MetricDefinition<MetricSources>[] = [
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
  ...sinkMetrics.map(ofTrail),
  { ...outboxMetric, read: ({ state }) => outboxMetric.read({ outbox: () => state().outbox?.backlog }) },
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
    read: ({ retention }) => summarySamples('audit_retention_duration_seconds', durationsOf(retention())),
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
  ...anchorMetrics.map((definition) => ({
    ...definition,
    read: ({ state }: MetricSources) => definition.read(state()),
  })),
]

function ofTrail(definition: MetricDefinition<SinkSources>): MetricDefinition<MetricSources> {
  return { ...definition, read: ({ state }) => definition.read({ destinations: () => state().destinations }) }
}

function durationsOf(counts: RetentionCounts | undefined): Durations | undefined {
  return counts && { count: counts.rounds, sumSeconds: counts.seconds }
}
