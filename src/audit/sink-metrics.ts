/** The metrics of destinations, of whoever delivers: an application, a sidecar, or the delivery of a database's journal. */

import { nowMs } from '../clock.ts'
import type { ForwarderState } from '../forward/standing.ts'
import { histogramSamples, type MetricDefinition, type Sample, single } from './metric.ts'

/** Where the values come from. A destination may be there more than once, for several spools: then they are joined. */
export interface SinkSources {
  readonly destinations: () => readonly ForwarderState[]
}

/** Every metric of destinations; docs/operations.md lists them. */
export const sinkMetrics: readonly MetricDefinition<SinkSources>[] = [
  {
    name: 'audit_sink_records_total',
    type: 'counter',
    help: 'Records that a destination has taken since the start.',
    read: (sources) => sums(sources, ({ delivered }) => delivered, { result: 'delivered' }),
  },
  {
    name: 'audit_log_sink_errors_total',
    type: 'counter',
    help: 'Sendings that a destination did not take.',
    read: (sources) => sums(sources, ({ failures }) => failures),
  },
  {
    name: 'audit_quarantined_records_total',
    type: 'counter',
    help: 'Records set aside since the start because a destination refuses them for ever.',
    read: (sources) => sums(sources, ({ quarantined }) => quarantined),
  },
  {
    name: 'audit_sink_backlog_records',
    type: 'gauge',
    help: 'Durable records that a destination has not confirmed yet; absent while unknown.',
    read: (sources) => sums(sources, ({ backlog }) => backlog),
  },
  {
    name: 'audit_sink_oldest_record_age_seconds',
    type: 'gauge',
    help: 'Age of the oldest record that is on its way to a destination or waits to be sent; 0 when none does.',
    aggregator: 'max',
    read: (sources) => byDestination(sources, (states) => Math.max(...states.map(ageOfOldest))),
  },
  {
    name: 'audit_sink_send_duration_seconds',
    type: 'histogram',
    help: 'Duration of the sendings to a destination, successful or not.',
    read: ({ destinations }) => (destinations().length === 0 ? [] : sendDurations(destinations())),
  },
]

/** Of whoever seals the outbox of a database. */
export const outboxMetric: MetricDefinition<{ readonly outbox: () => number | undefined }> = {
  name: 'audit_outbox_backlog_records',
  type: 'gauge',
  help: 'Committed events that no sequencer has sealed yet, counted up to 100,000; absent without outbox.url.',
  aggregator: 'max', // each process counts the same outbox
  read: ({ outbox }) => single(outbox()),
}

function ageOfOldest({ oldest }: ForwarderState): number {
  return oldest === undefined ? 0 : Math.max(0, nowMs() - Date.parse(oldest)) / 1_000
}

function sendDurations(states: readonly ForwarderState[]): Sample[] {
  return [...Map.groupBy(states, ({ name }) => name)].flatMap(([destination, own]) => {
    const [first, ...others] = own.flatMap(({ sendTimes }) => sendTimes ?? [])
    if (first === undefined) return []
    const joined = others.reduce(
      (sum, one) => ({
        buckets: sum.buckets.map(({ upToSeconds, count }, at) => {
          return { upToSeconds, count: count + (one.buckets[at]?.count ?? 0) }
        }),
        count: sum.count + one.count,
        sumSeconds: sum.sumSeconds + one.sumSeconds,
      }),
      first,
    )
    return histogramSamples('audit_sink_send_duration_seconds', joined, { destination })
  })
}

/** Of what is known, where it is known of one spool at least. */
function sums(
  sources: SinkSources,
  read: (state: ForwarderState) => number | undefined,
  more: Readonly<Record<string, string>> = {},
): Sample[] {
  const sum = (states: readonly ForwarderState[]): number | undefined => {
    const known = states.flatMap((state) => read(state) ?? [])
    return known.length === 0 ? undefined : known.reduce((total, one) => total + one, 0)
  }
  return byDestination(sources, sum, more)
}

function byDestination(
  { destinations }: SinkSources,
  read: (states: readonly ForwarderState[]) => number | undefined,
  more: Readonly<Record<string, string>> = {},
): Sample[] {
  return [...Map.groupBy(destinations(), ({ name }) => name)].flatMap(([destination, states]) => {
    const value = read(states)
    return value === undefined ? [] : [{ value, labels: { destination, ...more } }]
  })
}
