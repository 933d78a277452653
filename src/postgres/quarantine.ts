/**
 * The statements on `audit.quarantine`: records of the journal that a destination refuses by itself. A row comes from
 * whoever delivers to that destination, one process at a time; a sequencer seals that it came, and removes it in the
 * transaction that seals what became of it. So what is there and what the journal says never differ for long.
 */

import { leafHash } from '../chain/hash.ts'
import type { JsonObject } from '../event/canonical.ts'
import type { ControlFact, StoredRecord } from '../event/record.ts'
import type { Queryable } from './client.ts'

/** Most rows of which one transaction seals something, or that are read at once. */
const factsMax = 100

/** A record by its place in the journal. */
export interface QuarantinePlace {
  readonly destination: string
  readonly stream: string
  readonly sequence: number
}

/** A record in quarantine. */
export interface QuarantinedRecord extends QuarantinePlace {
  /** Leaf hash, 64 hex digits. */
  readonly hash: string
  readonly record: Buffer
  /** What the destination said. */
  readonly reason: string
  /** RFC 3339. */
  readonly quarantined: string
  /** Whether the journal says that it was set aside. */
  readonly isSealed: boolean
  /** What an operator has asked for and delivery has not done yet. */
  readonly asked: 'retry' | 'discard' | undefined
  /** Why the last retry was refused. */
  readonly refused: string | undefined
}

/** Puts a record there, unless it is there already; durable on return. */
export async function quarantineRecord(
  client: Queryable,
  { destination, record, reason }: { destination: string; record: StoredRecord; reason: string },
): Promise<void> {
  await client.query(
    `insert into audit.quarantine (destination, stream, seq, hash, record, reason)
     values ($1, $2, $3, decode($4, 'hex'), $5, $6) on conflict do nothing`,
    [destination, record.stream, record.sequence, leafHash(record.bytes), record.bytes, reason.replaceAll('\0', '')],
  )
}

/** Whether the journal says that the record was set aside. */
export async function isQuarantineSealed(client: Queryable, place: QuarantinePlace): Promise<boolean> {
  const { rows } = await client.query<{ sealed: boolean }>(
    'select sealed from audit.quarantine where destination = $1 and stream = $2 and seq = $3',
    keyOf(place),
  )
  return rows[0]?.sealed !== false // a row that has gone was sealed before
}

/** Everything in quarantine, oldest first. */
export async function listQuarantined(client: Queryable): Promise<QuarantinedRecord[]> {
  const { rows } = await client.query<QuarantineRow>(`${selection} where outcome is null order by quarantined_at, seq`)
  return rows.map(fromRow)
}

/** What operators have decided about and nobody has done, of one destination; oldest first. */
export async function listAsked(client: Queryable, destination: string): Promise<QuarantinedRecord[]> {
  const { rows } = await client.query<QuarantineRow>(
    `${selection} where destination = $1 and resolution is not null and outcome is null and sealed
     order by quarantined_at, seq limit $2`,
    [destination, factsMax],
  )
  return rows.map(fromRow)
}

/** How a record stands there; `undefined` when it has gone. */
export async function readQuarantined(
  client: Queryable,
  place: QuarantinePlace,
): Promise<QuarantinedRecord | undefined> {
  const { rows } = await client.query<QuarantineRow>(
    `${selection} where destination = $1 and stream = $2 and seq = $3`,
    keyOf(place),
  )
  return rows[0] && fromRow(rows[0])
}

/** What an operator wants to become of a record. False where it is not there any more. */
export async function askResolution(
  client: Queryable,
  place: QuarantinePlace,
  request: { readonly resolution: 'retry' | 'discard'; readonly operator: string; readonly why: string | undefined },
): Promise<boolean> {
  const { rows } = await client.query(
    `update audit.quarantine set resolution = $4, operator = $5, why = $6, asked_at = now(), refused = null
     where destination = $1 and stream = $2 and seq = $3 and outcome is null returning seq`,
    [...keyOf(place), request.resolution, request.operator, request.why ?? null],
  )
  return rows.length > 0
}

/** The record stays: the destination refused it again. */
export async function answerRefused(client: Queryable, place: QuarantinePlace, reason: string): Promise<void> {
  await client.query(
    `update audit.quarantine set refused = $4, resolution = null
     where destination = $1 and stream = $2 and seq = $3 and outcome is null`,
    [...keyOf(place), reason.replaceAll('\0', '')],
  )
}

/** What was asked for is done; a sequencer seals it and takes the row away. */
export async function noteOutcome(
  client: Queryable,
  place: QuarantinePlace,
  outcome: 'delivered' | 'discarded',
): Promise<void> {
  await client.query('update audit.quarantine set outcome = $4 where destination = $1 and stream = $2 and seq = $3', [
    ...keyOf(place),
    outcome,
  ])
}

/** Whether there is something to be sealed. Takes no lock. */
export async function owesFacts(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(
    'select exists (select from audit.quarantine where not sealed or outcome is not null) as found',
  )
  return rows[0]?.found === true
}

/**
 * What the journal is to say, oldest first. Call it with the journal locked, and seal it in the same transaction: when
 * that rolls back it is owed again.
 */
export async function claimFacts(client: Queryable): Promise<ControlFact[]> {
  const aside = await client.query<QuarantineRow>(
    `update audit.quarantine q set sealed = true from ${owed('not sealed')} returning ${columns}`,
    [factsMax],
  )
  const resolved = await client.query<QuarantineRow>(
    `delete from audit.quarantine q using ${owed('sealed and outcome is not null')} returning ${columns}`,
    [factsMax],
  )
  return [
    ...aside.rows.sort(byAge).map((row): ControlFact => {
      return { type: 'audit.quarantined', details: { ...placeOf(row), reason: `POISON: ${row.reason}` } }
    }),
    ...resolved.rows.sort(byAge).map((row): ControlFact => {
      return { type: 'audit.quarantine.resolved', details: { ...placeOf(row), ...resolutionOf(row) } }
    }),
  ]
}

/** Rows of which something is to be sealed, locked; those of another sequencer are left to it. */
function owed(condition: string): string {
  return `(select destination, stream, seq from audit.quarantine where ${condition}
       order by quarantined_at, seq limit $1 for update skip locked) o
     where q.destination = o.destination and q.stream = o.stream and q.seq = o.seq`
}

interface QuarantineRow {
  readonly destination: string
  readonly stream: string
  readonly seq: string
  readonly hash: string
  readonly record: Buffer
  readonly reason: string
  readonly quarantined: string
  readonly sealed: boolean
  readonly resolution: 'retry' | 'discard' | null
  readonly operator: string | null
  readonly why: string | null
  readonly refused: string | null
  readonly outcome: 'delivered' | 'discarded' | null
}

const columns = `q.destination, q.stream, q.seq, encode(q.hash, 'hex') as hash, q.record, q.reason, q.sealed, q.resolution,
  q.operator, q.why, q.refused, q.outcome,
  to_char(q.quarantined_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '000Z' as quarantined`
const selection = `select ${columns} from audit.quarantine q`

function keyOf({ destination, stream, sequence }: QuarantinePlace): [string, string, number] {
  return [destination, stream, sequence]
}

function byAge(one: QuarantineRow, other: QuarantineRow): number {
  if (one.quarantined === other.quarantined) return Number(one.seq) - Number(other.seq)
  return one.quarantined < other.quarantined ? -1 : 1
}

function placeOf({ destination, stream, seq, hash }: QuarantineRow): JsonObject {
  return { destination, stream, seq: Number(seq), hash }
}

function resolutionOf({ outcome, operator, why }: QuarantineRow): JsonObject {
  return { resolution: outcome, operator, ...(why !== null && { why }) }
}

function fromRow(row: QuarantineRow): QuarantinedRecord {
  const { destination, stream, seq, hash, record, reason, quarantined, sealed, resolution, refused } = row
  return {
    destination,
    stream,
    sequence: Number(seq),
    hash,
    record,
    reason,
    quarantined,
    isSealed: sealed,
    asked: resolution ?? undefined,
    refused: refused ?? undefined,
  }
}
