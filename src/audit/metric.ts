/**
 * A metric of ours as a prom-client registry sees it: it keeps no value and reads one when the registry is asked, so that
 * counting costs no more than a number. Of prom-client only the registry's interface is used, nothing is loaded: an
 * import would be asynchronous or break bundles, and a copy of ours may not be the copy of the user.
 */

import { AuditError } from '../errors.ts'

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

export interface Sample {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  /** Where a series has another name than its metric: the parts of a histogram. */
  readonly metricName?: string
}

/** A metric, and how it is read from what it is about. */
export interface MetricDefinition<Sources> {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  readonly help: string
  /** How prom-client joins the values of several processes of a cluster; default: their sum. */
  readonly aggregator?: 'sum' | 'max'
  readonly read: (sources: Sources) => Sample[]
}

/** Registers the metrics; the returned function takes them away again. Throws `INVALID_OPTION` where one is taken. */
export function registerMetrics<Sources>(
  registry: MetricsRegistry,
  definitions: readonly MetricDefinition<Sources>[],
  sources: Sources,
): () => void {
  const taken = definitions.find(({ name }) => registry.getSingleMetric(name) !== undefined)
  if (taken !== undefined) {
    throw new AuditError('INVALID_OPTION', `metrics.registry has a metric ${taken.name} already`, {
      setting: 'metrics.registry',
      hint: 'Give each open trail a registry of its own; two trails on one would be told apart by nothing.',
    })
  }
  for (const definition of definitions) registry.registerMetric(new PulledMetric(definition, sources))
  return () => {
    for (const { name } of definitions) registry.removeSingleMetric(name)
  }
}

/** What prom-client's registry knows as a metric; it keeps no values. */
class PulledMetric<Sources> implements RegisteredMetric {
  /** Not constant: for OpenMetrics the registry takes `_total` off the name of a counter. */
  name: string
  readonly help: string
  readonly type: string
  readonly aggregator: string
  readonly #read: () => Sample[]

  constructor({ name, help, type, aggregator = 'sum', read }: MetricDefinition<Sources>, sources: Sources) {
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

export function single(value: number | undefined): Sample[] {
  return value === undefined ? [] : [{ value, labels: {} }]
}

/** How often something happened and how long it took together. */
export interface Durations {
  readonly count: number
  readonly sumSeconds: number
}

export function summarySamples(name: string, durations: Durations | undefined): Sample[] {
  if (durations === undefined) return []
  return [
    { value: durations.sumSeconds, labels: {}, metricName: `${name}_sum` },
    { value: durations.count, labels: {}, metricName: `${name}_count` },
  ]
}

/** Durations in buckets that are cumulative, as Prometheus has it. */
export interface Histogram extends Durations {
  readonly buckets: readonly { readonly upToSeconds: number; readonly count: number }[]
}

export function histogramSamples(name: string, histogram: Histogram, labels: Sample['labels'] = {}): Sample[] {
  const { buckets, count, sumSeconds } = histogram
  const bucket = (le: string | number, value: number): Sample => {
    return { value, labels: { le, ...labels }, metricName: `${name}_bucket` }
  }
  return [
    ...buckets.map((one) => bucket(one.upToSeconds, one.count)),
    bucket('+Inf', count),
    { value: sumSeconds, labels, metricName: `${name}_sum` },
    { value: count, labels, metricName: `${name}_count` },
  ]
}
