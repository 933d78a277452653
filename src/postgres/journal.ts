/**
 * The statements on the journal, the stream in which a database seals its own outbox. Whoever holds the lock on its one
 * row alone seals; the row and the head of the stream move in the transaction that stores the records.
 */

import type { Queryable } from './client.ts'

/** Where numbers were issued: a failover or a copy has another one. */
export interface ServerIdentity {
  readonly systemIdentifier: string
  readonly timelineId: string
}

/** The journal as its row has it, with the head of its stream. */
export interface Journal extends ServerIdentity {
  readonly deployment: string
  readonly stream: string
  /** Sequence of the last record, 0 before the first. */
  readonly sequence: number
  /** Leaf hash of the last record. */
  readonly hash: string | undefined
  /** `recorded` of the last record; microseconds. */
  readonly recorded: string | undefined
  /** What the last checkpoint covers, and the tree of that size. */
  readonly signedSize: number
  readonly tree: readonly Buffer[]
  /** Records but checkpoints that no checkpoint covers. */
  readonly unsigned: number
  /** How long ago the last checkpoint was made. */
  readonly signedMsAgo: number
  /** Of the key that signs it; `undefined` where nothing was sealed yet, or by an older version. */
  readonly verifierKey: string | undefined
}

/** What a batch changes of the journal. */
export interface JournalChange extends Pick<Journal, 'stream' | 'signedSize' | 'tree' | 'unsigned'> {
  readonly signs: boolean
  readonly verifierKey: string
}

/** The server that this connection has reached. The name of a WAL file tells a promotion at once; control data late. */
export async function readIdentity(client: Queryable): Promise<ServerIdentity> {
  const { rows } = await client.query<{ system: string; timeline: string }>(
    `select system_identifier::text as system,
       ('x' || lpad(left(pg_walfile_name(pg_current_wal_lsn()), 8), 16, '0'))::bit(64)::bigint::text as timeline
     from pg_control_system()`,
  )
  return { systemIdentifier: rows[0]?.system ?? '', timelineId: rows[0]?.timeline ?? '' }
}

/** Locks the journal until the transaction ends. `held`: another sequencer has it; `absent`: there is none yet. */
export async function lockJournal(client: Queryable): Promise<Journal | 'held' | 'absent'> {
  const { rows } = await client.query<JournalRow>(`${journalSelection} for update of j skip locked`)
  if (rows[0] !== undefined) return fromRow(rows[0])
  const found = await client.query<{ found: boolean }>('select exists (select from audit.journal) as found')
  return found.rows[0]?.found === true ? 'held' : 'absent'
}

/** The journal as it stands, without a lock; `undefined` where nothing has been sealed. */
export async function readJournal(client: Queryable): Promise<Journal | undefined> {
  const { rows } = await client.query<JournalRow>(journalSelection)
  return rows[0] === undefined ? undefined : fromRow(rows[0])
}

const journalSelection = `select j.deployment, j.stream, j.system_identifier::text as system,
    j.timeline_id::text as timeline, j.signed_size, j.tree, j.unsigned, j.verifier_key,
    -- Before PostgreSQL 17 infinite times cannot be subtracted; their numbers can.
    (extract(epoch from clock_timestamp()) - extract(epoch from j.signed_at)) * 1000 as signed_ms_ago,
    coalesce(h.seq, 0) as seq, encode(h.hash, 'hex') as hash,
    to_char(h.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '000Z' as recorded
  from audit.journal j left join audit.stream_head h on h.stream = j.stream`

interface JournalRow {
  readonly deployment: string
  readonly stream: string
  readonly system: string
  readonly timeline: string
  readonly signed_size: string
  readonly tree: Buffer[]
  readonly unsigned: string
  readonly signed_ms_ago: string
  readonly verifier_key: string | null
  readonly seq: string
  readonly hash: string | null
  readonly recorded: string | null
}

function fromRow(row: JournalRow): Journal {
  return {
    deployment: row.deployment,
    stream: row.stream,
    systemIdentifier: row.system,
    timelineId: row.timeline,
    sequence: Number(row.seq),
    hash: row.hash ?? undefined,
    recorded: row.recorded ?? undefined,
    signedSize: Number(row.signed_size),
    tree: row.tree,
    unsigned: Number(row.unsigned),
    signedMsAgo: Number(row.signed_ms_ago),
    verifierKey: row.verifier_key ?? undefined,
  }
}

/** Makes the journal, with a stream that has no record yet. Of two that do so at once, one waits and changes nothing. */
export async function createJournal(
  client: Queryable,
  { deployment, stream, identity }: { deployment: string; stream: string; identity: ServerIdentity },
): Promise<void> {
  await client.query(
    `insert into audit.journal (deployment, stream, system_identifier, timeline_id, signed_size, tree, signed_at, unsigned)
     values ($1, $2, $3, $4, 0, '{}', '-infinity', 0) on conflict do nothing`,
    [deployment, stream, identity.systemIdentifier, identity.timelineId],
  )
}

/** From now on the journal is another stream, on this server. */
export async function enterStream(client: Queryable, stream: string, identity: ServerIdentity): Promise<void> {
  await client.query(
    'update audit.journal set stream = $1, system_identifier = $2, timeline_id = $3, signed_size = 0, tree = $4',
    [stream, identity.systemIdentifier, identity.timelineId, []],
  )
  await client.query('insert into audit.journal_stream (stream) values ($1) on conflict do nothing', [stream])
}

/** Notes what a batch has sealed and signed. */
export async function saveJournal(client: Queryable, change: JournalChange): Promise<void> {
  const { stream, signedSize, tree, unsigned, signs, verifierKey } = change
  await client.query(
    `update audit.journal set stream = $1, signed_size = $2, tree = $3, unsigned = $4,
       signed_at = case when $5 then clock_timestamp() else signed_at end, verifier_key = $6`,
    [stream, signedSize, tree, unsigned, signs, verifierKey],
  )
}

/** The leaf hashes of what `readRange` reads, computed by the server from the bytes that it holds: what signing asks for. */
export async function readLeaves(
  client: Queryable,
  range: { readonly stream: string; readonly after: number; readonly upTo: number },
): Promise<string[]> {
  const { rows } = await client.query<{ leaf: string }>(
    `select encode(sha256('\\x00'::bytea || record), 'hex') as leaf from audit.record
     where stream = $1 and seq > $2 and seq <= $3 order by seq`,
    [range.stream, range.after, range.upTo],
  )
  return rows.map(({ leaf }) => leaf)
}

/** The records of a stream behind one sequence and up to another, in order. */
export async function readRange(
  client: Queryable,
  range: { readonly stream: string; readonly after: number; readonly upTo: number },
): Promise<Buffer[]> {
  const { rows } = await client.query<{ record: Buffer }>(
    'select record from audit.record where stream = $1 and seq > $2 and seq <= $3 order by seq',
    [range.stream, range.after, range.upTo],
  )
  return rows.map(({ record }) => record)
}
