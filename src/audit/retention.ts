/**
 * One round of retention on one database: who may run, what is past the limit, where it is archived and how it is sealed.
 * The steps are those of `postgres/retention.ts`.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { openArchive } from '../archive/location.ts'
import { readBack } from '../archive/read-back.ts'
import type { ArchiveStore } from '../archive/store.ts'
import { StreamArchive } from '../archive/stream-archive.ts'
import { monotonicMs, nowMs } from '../clock.ts'
import type { ControlFact } from '../event/record.ts'
import { type Queryable, withConnection } from '../postgres/client.ts'
import { readHead } from '../postgres/records.ts'
import { planRetention, type RetentionProgress, type RetentionReport, runRetention } from '../postgres/retention.ts'
import { withRetentionLock } from '../postgres/retention-ranges.ts'
import { readRecords } from '../postgres/stored-records.ts'
import type { RecordNumber } from '../spool/cursor.ts'

const dayMs = 86_400_000
/** One statement may read a partition whole. */
const queryMsMax = 3_600_000
/** How long a sealed statement may take to arrive in the database, and how often that is looked for. */
const arrival = { msMax: 120_000, lookMs: 200 }

export interface RetentionRound {
  readonly url: string
  readonly days: number
  readonly batchRows: number
  /** A folder or `s3://…`; without one, what is past its retention is gone. */
  readonly archive?: string | undefined
  /** Seals in a stream that is delivered to this database; its place once it is durable, `undefined` when it is not. */
  readonly seal: (fact: ControlFact) => Promise<RecordNumber | undefined>
  readonly onProgress?: ((progress: RetentionProgress) => void) | undefined
  readonly signal: AbortSignal
}

/** Runs one round; `undefined` while another process of this database does. Rejects when the database does. */
export async function retainOnce(round: RetentionRound): Promise<RetentionReport | undefined> {
  const { url, days, batchRows, onProgress, signal } = round
  const store = round.archive === undefined ? undefined : await openArchive(round.archive, 'retention.archive')
  return withRetentionLock(url, () =>
    withConnection({ url, queryMsMax }, (client) => {
      const before = daysAgo(days)
      const seal = async (statement: object) => {
        const details = { ...statement, before, days }
        return hasArrived(client, await round.seal({ type: 'audit.pruned', details }), signal)
      }
      const archive = store && ((stream: string, to: number) => archiveStream(client, store, { stream, to }))
      return runRetention(client, {
        before,
        restateBefore: daysAgo(days / 2),
        batchRows,
        archive,
        seal,
        onProgress,
        signal,
      })
    }),
  )
}

/** What a round would do now. */
export function planOnce({ url, days }: Pick<RetentionRound, 'url' | 'days'>): Promise<RetentionReport> {
  return withConnection({ url, queryMsMax }, (client) => planRetention(client, daysAgo(days)))
}

function daysAgo(days: number): string {
  return new Date(nowMs() - days * dayMs).toISOString()
}

/** Only what the database itself holds lets `verify` tell a removal from a theft. */
export async function hasArrived(
  client: Queryable,
  sealed: RecordNumber | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  if (sealed === undefined) return false
  for (const untilMs = monotonicMs() + arrival.msMax; monotonicMs() < untilMs && !signal.aborted; ) {
    const head = await readHead(client, sealed.stream)
    if (head !== undefined && head.sequence >= sealed.sequence) return true
    await sleep(arrival.lookMs)
  }
  return false
}

/** Copies what the archive lacks up to `to`, and reads it back. Rejects with what is wrong. */
async function archiveStream(
  client: Queryable,
  store: ArchiveStore,
  { stream, to }: { readonly stream: string; readonly to: number },
): Promise<string> {
  const archive = await StreamArchive.open(stream, { store, verifiers: [] })
  for await (const record of readRecords(client, { stream, behind: archive.heldTo })) {
    await archive.add(record)
    if (archive.isRefused || archive.size >= to) break
  }
  const { from, refused } = await archive.finish()
  const wrong = refused ?? (await readBack(store, stream, { from, to }))
  if (wrong !== undefined) throw new Error(`the archive ${store.name}: ${wrong}`)
  return store.name
}
