/**
 * What a profile can ask of one setting, whoever asks: what it accepts, what to do otherwise, and whether a configuration
 * is refused. `profiles.ts` says which standard asks for which of them, and why.
 */

import { isAbsolute, relative, resolve } from 'node:path'
import type { AuditConfig } from './config.ts'

/** A demand on one setting. */
export interface Demand {
  readonly setting: string
  /** What the profile sets where nobody else has. */
  readonly preset?: unknown
  /** What it accepts, in words. */
  readonly allowed: string
  /** What to do instead. */
  readonly remedy: string
  refuses(config: AuditConfig): boolean
}

export const isOn: Demand = {
  setting: 'policy.enabled',
  allowed: 'true',
  remedy: 'Leave audit on.',
  refuses: ({ policy }) => !policy.enabled,
}

export const everyOperation: Demand = {
  setting: 'policy.level',
  preset: 'all',
  allowed: '"all"',
  remedy: 'Leave the level to the profile, which sets all.',
  refuses: ({ policy }) => policy.level !== 'all',
}

export const readsMayBeLeftOut: Demand = {
  setting: 'policy.level',
  allowed: '"all", "writes_only"',
  remedy: 'Take one of these, or leave it out: writes_only is the default.',
  refuses: ({ policy }) => policy.level !== 'all' && policy.level !== 'writes_only',
}

export const unsampled: Demand = {
  setting: 'policy.sampleRate',
  allowed: '1',
  remedy: 'Leave sampling out.',
  refuses: ({ policy }) => policy.sampleRate < 1,
}

export const unsampledReads: Demand = {
  ...unsampled,
  setting: 'policy.sampleReads',
  refuses: ({ policy }) => policy.sampleReads < 1,
}

export const noExcludedActions: Demand = {
  setting: 'policy.excludeActions',
  allowed: 'none',
  remedy: 'Exclude nothing.',
  refuses: ({ policy }) => policy.excludeActions.length > 0,
}

export const noExcludedResources: Demand = {
  ...noExcludedActions,
  setting: 'policy.excludeResources',
  refuses: ({ policy }) => policy.excludeResources.length > 0,
}

export const noDrops: Demand = {
  setting: 'policy.rules',
  allowed: 'rules with the effects keep and metadata',
  remedy: 'Take out the rules with the effect drop.',
  refuses: ({ policy }) => policy.rules.some(({ effect }) => effect === 'drop'),
}

export const recordsInvalid: Demand = {
  setting: 'onInvalid',
  allowed: '"record"',
  remedy: 'Leave it to its default: what is wrong with an event is then said in its record.',
  refuses: ({ onInvalid }) => onInvalid !== 'record',
}

export const hidesSecrets: Demand = {
  setting: 'redact.preset',
  allowed: '"default", "daemon", "strict"',
  remedy: 'Leave redaction on, and name further keys with redact.keys.',
  refuses: ({ redact }) => redact.preset === 'off',
}

export const keyApart: Demand = {
  setting: 'keys.signingKeyFile',
  allowed: 'a file outside of the spool directory',
  remedy: 'Make one elsewhere (otel-audit key new --name DEPLOYMENT --out FILE) and name it.',
  refuses: ({ signingKey, signingKeyFile, spool }) =>
    signingKey === undefined && liesBelow(spool.directory, signingKeyFile),
}

export const waitsForRoom: Demand = {
  setting: 'spool.onFull',
  allowed: '"block"',
  remedy: 'Leave it to its default.',
  refuses: ({ spool }) => spool.onFull !== 'block',
}

export const confirmed: Demand = {
  setting: 'destinations',
  allowed: 'one at least that confirms what it has (otlp, postgres, file, http, s3, clickhouse)',
  remedy: 'Add one beside standard output and syslog.',
  refuses: ({ destinations }) => destinations.length > 0 && destinations.every(({ type }) => unconfirmed.has(type)),
}

export const keepsBackups: Demand = {
  setting: 'destinations',
  allowed: 'files of which no closed one is deleted',
  remedy: 'Leave out the number of files to keep (AUDIT_LOG_FILE_MAX_BACKUPS=0), and move old ones to an archive.',
  refuses: ({ destinations }) => destinations.some((one) => one.type === 'file' && (one.maxBackups ?? 0) > 0),
}

export const leavesTheHost: Demand = {
  setting: 'destinations',
  allowed: 'one at least on another machine (otlp, postgres, syslog, http, s3, clickhouse)',
  remedy: 'Add one beside the local ones.',
  refuses: ({ destinations }) => destinations.every(({ type }) => local.has(type)),
}

export const prunes: Demand = {
  setting: 'retention.enabled',
  allowed: 'true',
  remedy: 'Leave it on, and set retention.days to what your records of processing say.',
  refuses: ({ retention }) => !retention.enabled,
}

export function keptFor(days: number): Demand {
  return {
    setting: 'retention.days',
    preset: days,
    allowed: `${days} at least`,
    remedy: 'Leave it to the profile, or keep records longer.',
    refuses: ({ retention }) => retention.enabled && retention.days < days,
  }
}

const unconfirmed: ReadonlySet<string> = new Set(['stdout', 'syslog'])
const local: ReadonlySet<string> = new Set(['stdout', 'file'])

function liesBelow(directory: string, file: string): boolean {
  const path = relative(resolve(directory), resolve(file))
  return path !== '' && !path.startsWith('..') && !isAbsolute(path)
}
