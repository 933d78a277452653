/**
 * The statements of whoever delivers the journal: how far a destination has confirmed it, which streams it has, and its
 * records in order. A cursor never goes back.
 */

import type { StoredRecord } from '../event/record.ts'
import type { Queryable } from './client.ts'
import type { SeenHead } from './seen-head.ts'

/** A place in the journal; sequence 0 before the first record of a stream. */
export interface JournalPlace {
  readonly stream: string
  readonly sequence: number
}

/** How far a destination has confirmed; `undefined` before its first record. */
export async function readCursor(client: Queryable, destination: string): Promise<JournalPlace | undefined> {
  const { rows } = await client.query<{ stream: string; seq: string }>(
    'select stream, seq from audit.sink_cursor where destination = $1 and stream is not null',
    [destination],
  )
  return rows[0] === undefined ? undefined : { stream: rows[0].stream, sequence: Number(rows[0].seq) }
}

/**
 * Notes what a destination has confirmed; without a place, that there is a destination. Durable on return, and where
 * `waits` is set, on the standbys too that the server's commits wait for. Rejects where another such note waits for them.
 */
export async function saveCursor(
  client: Queryable,
  destination: string,
  { place, waits = false }: { readonly place?: JournalPlace; readonly waits?: boolean },
): Promise<void> {
  await client.query(
    `insert into audit.sink_cursor as c (destination, stream, seq)
     select $1, $2::uuid, $3::bigint
     from (select set_config('synchronous_commit', $4, true), set_config('lock_timeout', '5s', true)) as for_this
     on conflict (destination) do update
     set stream = coalesce(excluded.stream, c.stream), updated_at = now(),
       seq = case when excluded.stream is null then c.seq else excluded.seq end`,
    [destination, place?.stream ?? null, place?.sequence ?? 0, waits ? 'on' : 'local'],
  )
}

/** The head of the journal's current stream. */
export async function readJournalHead(client: Queryable): Promise<SeenHead | undefined> {
  const { rows } = await client.query<{ stream: string; seq: string; hash: string }>(
    `select h.stream, h.seq, encode(h.hash, 'hex') as hash
     from audit.journal j join audit.stream_head h on h.stream = j.stream where h.seq > 0`,
  )
  return rows[0] && { stream: rows[0].stream, sequence: Number(rows[0].seq), hash: rows[0].hash }
}

/** The stream of the journal that follows another one, or its first; `undefined` when there is none. */
export async function readNextStream(client: Queryable, after: string | undefined): Promise<string | undefined> {
  const { rows } = await client.query<{ stream: string }>(
    `select stream from audit.journal_stream
     where number > coalesce((select number from audit.journal_stream where stream = $1), 0) order by number limit 1`,
    [after ?? null],
  )
  return rows[0]?.stream
}

/** Records of a stream behind a sequence and up to another, at most so many. */
export async function readBehind(
  client: Queryable,
  { stream, sequence }: JournalPlace,
  limit: { readonly upTo: number; readonly records: number },
): Promise<StoredRecord[]> {
  const { rows } = await client.query<{ seq: string; record: Buffer }>(
    'select seq, record from audit.record where stream = $1 and seq > $2 and seq <= $3 order by seq limit $4',
    [stream, sequence, limit.upTo, limit.records],
  )
  return rows.map(({ seq, record }) => ({ stream, sequence: Number(seq), bytes: record }))
}
