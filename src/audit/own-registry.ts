/** A registry of prom-client for whoever shows metrics and was given none. Loaded when it is first needed. */

import type { ScrapedRegistry } from './health-server.ts'
import type { MetricsRegistry } from './metric.ts'

export async function ownRegistry(): Promise<ScrapedRegistry & MetricsRegistry> {
  const { Registry } = await import('prom-client')
  const registry = new Registry()
  return {
    contentType: registry.contentType,
    metrics: () => registry.metrics(),
    registerMetric: (metric) => registry.registerMetric(metric as Parameters<typeof registry.registerMetric>[0]),
    getSingleMetric: (name) => registry.getSingleMetric(name),
    removeSingleMetric: (name) => registry.removeSingleMetric(name),
  }
}
