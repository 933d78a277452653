/** What `otel-audit forward` is told by the configuration of the application, checked as far as it can be without sending. */

import type { AuditConfig } from '../audit/config.ts'
import { errorOf } from '../audit/problem.ts'
import { readConfig } from '../audit/read-config.ts'
import { createDestination } from '../destination/create.ts'
import type { DestinationOptions } from '../destination/destination.ts'
import { AuditError } from '../errors.ts'

/** Throws `INVALID_OPTION` for the first thing that is wrong, also with a destination or where none is named. */
export async function readForwardConfig(
  file: string | undefined,
  { directory, json, env }: { directory?: string; json: boolean; env: NodeJS.ProcessEnv },
): Promise<AuditConfig> {
  const given = { options: directory === undefined ? {} : { spool: { directory } }, environment: env }
  const reading = readConfig(file === undefined ? given : { ...given, file })
  const [problem] = reading.problems
  if (problem !== undefined) throw errorOf(problem)
  const { config } = reading
  if (config !== undefined && directory === undefined && reading.given.get('destinations')?.source.kind === 'default')
    return { ...config, destinations: [] }
  if (config === undefined || reading.given.get('destinations')?.source.kind === 'default') throw noDestinations()
  if (config.destinations.length === 0) throw noDestinations()
  if (json && config.destinations.some(isStdout)) throw bothPrint()
  for (const options of config.destinations) await (await createDestination(options)).close() // says what cannot be meant
  return config
}

export function isStdout({ type }: DestinationOptions): boolean {
  return type === 'stdout'
}

function noDestinations(): AuditError {
  return new AuditError('INVALID_OPTION', 'no destination is named', {
    setting: 'destinations',
    hint: 'Give --config FILE with the destinations of the application, or set AUDIT_DESTINATIONS or AUDIT_LOG_DESTINATION.',
  })
}

function bothPrint(): AuditError {
  return new AuditError('INVALID_OPTION', 'a destination is stdout, and --json prints there too', {
    setting: '--json',
    hint: 'Leave --json out: what changes is said on standard error.',
  })
}
