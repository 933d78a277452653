/** The story in numbers, and what of them is not as it should be. */

import type { Forgery } from './forgery.ts'

/** When the exporter is killed. */
export const killMoments = ['it has sealed', 'the SIEM has kept a batch', 'the SIEM has kept another batch'] as const

export interface Copy {
  readonly records: number
  /** Records of the trail that it lacks, and records that the trail does not have. */
  readonly missing: number
  readonly strange: number
  readonly verdict: string
}

export interface Summary {
  readonly users: number
  /** Answers that the broker had given before it was killed. */
  readonly answersBeforeKill: number
  /** What was confirmed to a user and is not there. */
  readonly lost: number
  /** State without its event, and events without their state. */
  readonly disagreements: number
  readonly incomplete: number
  readonly events: Readonly<Record<string, number>>
  readonly exporterKills: number
  readonly trail: string
  readonly siem: Copy & { readonly repeats: number; readonly refused: number }
  /** Absent where there is no S3 server. */
  readonly s3: Copy | undefined
  /** Events of `proxy.execute` by the version they were recorded in, and those that cannot be read as the newest. */
  readonly versions: Readonly<Record<string, number>>
  readonly unreadable: number
  readonly retention: {
    readonly removed: number
    readonly left: number
    readonly database: string
    readonly archive: string
  }
  readonly edited: Forgery
  readonly removed: Forgery
}

/** What is wrong, in one sentence each; nothing, if all is well. */
export function faultsOf(summary: Summary): string[] {
  const { lost, disagreements, incomplete, exporterKills, trail, siem, s3, versions, unreadable, retention } = summary
  const copies = Object.entries({ SIEM: siem, ...(s3 && { S3: s3 }) })
  return [
    ...(lost === 0 ? [] : [`${lost} confirmed changes are gone`]),
    ...(disagreements === 0 ? [] : [`${disagreements} times state and events do not agree`]),
    ...(incomplete === 0 ? [] : [`${incomplete} events lack a member`]),
    ...(exporterKills === killMoments.length ? [] : [`the exporter was killed ${exporterKills} times only`]),
    ...(trail === 'INTACT' ? [] : [`the database is ${trail}, not INTACT`]),
    ...copies.flatMap(([name, copy]) => faultsOfCopy(name, copy)),
    ...(siem.refused === 0 ? [] : [`the SIEM refused ${siem.refused} times`]),
    ...(Object.keys(versions).length === 2 ? [] : ['not both releases have left records']),
    ...(unreadable === 0 ? [] : [`${unreadable} records cannot be read in the shape of today`]),
    ...(retention.removed > 0 ? [] : ['retention removed nothing']),
    ...(retention.database === 'PRUNED' ? [] : [`after retention the database is ${retention.database}, not PRUNED`]),
    ...(retention.archive === 'INTACT' ? [] : [`the archive is ${retention.archive}, not INTACT`]),
    ...faultsOfForgery('CONTENT_TAMPERED', summary.edited),
    ...faultsOfForgery('MISSING', summary.removed),
  ]
}

function faultsOfCopy(name: string, { missing, strange, verdict }: Copy): string[] {
  if (missing + strange > 0) return [`${name} lacks ${missing} records, and has ${strange} that are not of the trail`]
  return verdict === 'INTACT' ? [] : [`${name} is ${verdict}, not INTACT`]
}

function faultsOfForgery(expected: string, { sequence, findings }: Forgery): string[] {
  const isFound = findings.some((finding) => finding.verdict === expected && finding.sequence === sequence)
  return isFound ? [] : [`record ${sequence} was forged, and no finding says ${expected}`]
}
