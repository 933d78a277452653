/** The settings of metrics, and of the server that shows them and the health of a trail. */

import { z } from 'zod'
import { listenForm, listenPattern } from './health-server.ts'
import { isMetricsRegistry, type MetricsRegistry } from './metric.ts'
import { noted } from './setting-note.ts'

const text = z.string().min(1, 'a string that is not empty')
const registry = z.custom<MetricsRegistry>(isMetricsRegistry, 'a Registry of prom-client')

export const metricsSchema = z.strictObject({
  registry: noted(registry.optional(), {
    about:
      'a `Registry` of prom-client (version 15) that gets the metrics of [operations.md](operations.md#metrics) until `close`; one open trail a registry',
    otherwise: 'none',
    example: '',
    isCodeOnly: true,
  }),
  actions: noted(z.array(text).default([]), {
    about:
      'actions that are a label by their name, beside those of the catalogue; every other counts as `_other`, because labels must stay few',
    example: 'invoice.delete,session.create',
  }),
  listen: noted(z.string().regex(listenPattern, listenForm).optional(), {
    about:
      'where `/metrics`, `/healthz` and `/readyz` are answered over HTTP ([operations.md](operations.md#metrics-and-health-over-http)): `HOST:PORT`, or a port of 127.0.0.1',
    otherwise: 'none: nothing listens unless `audit.serve()` is called',
    example: '127.0.0.1:9464',
  }),
  token: noted(text.optional(), {
    about: 'bearer token that a scraper of `/metrics` must show; a wrong one is an event `auth.failure`',
    otherwise: 'none: whoever reaches the port may read',
    example: 'a-token-for-the-scraper',
    isSecret: true,
  }),
  tokenFile: noted(text.optional(), {
    about: 'a file that holds `metrics.token`; not readable by everybody, read at start',
    otherwise: 'none',
    example: '/run/secrets/audit-metrics-token',
  }),
})
