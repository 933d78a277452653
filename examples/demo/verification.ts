/** Verification by `otel-audit verify`, with nothing but the copies and the verifier key. */

import type { Report } from 'otel-audit'
import { otelAudit } from './command-line.ts'

export type { SourceReport } from 'otel-audit'

/** Verifies each source on its own; the reports stand in the order of the sources. Findings are an outcome. */
export async function verify(sources: readonly string[], verifierKey: string): Promise<Report> {
  const argv = ['verify', ...sources, '--vkey', verifierKey, '--json']
  return JSON.parse(await otelAudit(argv, { exitCodes: [0, 1, 2] })) as Report
}
