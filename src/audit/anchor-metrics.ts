/** The metrics of witnesses and anchors: when each has last seen a checkpoint, and how often it would not. */

import type { MetricDefinition, Sample } from './metric.ts'
import type { AuditState } from './state.ts'

type AnchorSources = Pick<AuditState, 'anchors' | 'witnesses'>

/** Labels are as few as the configuration names. */
export const anchorMetrics: readonly MetricDefinition<AnchorSources>[] = [
  {
    name: 'audit_witness_last_cosignature_timestamp_seconds',
    type: 'gauge',
    help: 'When a witness last cosigned a checkpoint, in seconds since the epoch; absent before the first time.',
    aggregator: 'max',
    read: ({ witnesses }) => witnesses.flatMap(({ name, cosignedAt }) => sampleOf(cosignedAt, { witness: name })),
  },
  {
    name: 'audit_witness_failures_total',
    type: 'counter',
    help: 'How often a witness was asked for a cosignature and gave none.',
    read: ({ witnesses }) => witnesses.map(({ name, failures: value }) => ({ value, labels: { witness: name } })),
  },
  {
    name: 'audit_anchor_last_success_timestamp_seconds',
    type: 'gauge',
    help: 'When a checkpoint was last anchored there, in seconds since the epoch; absent before the first time.',
    aggregator: 'max',
    read: ({ anchors }) => anchors.flatMap(({ kind, anchoredAt }) => sampleOf(anchoredAt, { kind })),
  },
  {
    name: 'audit_anchor_failures_total',
    type: 'counter',
    help: 'How often a checkpoint could not be anchored, by kind: timestamp, file, git, http.',
    read: ({ anchors }) => anchors.map(({ kind, failures: value }) => ({ value, labels: { kind } })),
  },
]

function sampleOf(value: number | undefined, labels: Sample['labels']): Sample[] {
  return value === undefined ? [] : [{ value, labels }]
}
