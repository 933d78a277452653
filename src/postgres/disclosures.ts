/**
 * The statements on disclosures, the personal values beside records: stored in the transaction that inserts their records.
 * A record that is delivered again brings back nothing: what was erased is known by its digest. Erasing is for `erase.ts`.
 */

import type { JsonObject } from '../event/canonical.ts'
import { commitmentTo, type Disclosure, decodeDisclosures, readDisclosure } from '../event/commit.ts'
import { setMember } from '../event/value.ts'
import type { RecordNumber } from '../spool/cursor.ts'
import { bytea, encodeArray, int8, text, timestamptz, uuid } from './binary-array.ts'
import type { Queryable } from './client.ts'
import type { ProjectedRecord } from './projection.ts'
import { type AppendOutcome, appendRecords, encodeRecords } from './records.ts'

/** What is disclosed of one record. */
export interface DisclosedRecord {
  readonly stream: string
  readonly sequence: number
  readonly disclosures: readonly Disclosure[]
  /** RFC 3339 with microseconds; null: now. */
  readonly madeAt: string | null
}

/** Stores disclosures, in the transaction that the client is in. Without any it asks the database for nothing. */
export async function storeDisclosures(client: Queryable, records: readonly DisclosedRecord[]): Promise<void> {
  const rows = records.flatMap(({ disclosures, ...place }) => disclosures.map((one) => ({ ...place, ...one })))
  if (rows.length === 0) return
  await client.query('select audit.disclose($1, $2, $3, $4, $5, $6)', [
    encodeArray(
      bytea,
      rows.map((row) => Buffer.from(commitmentTo(row.text), 'base64url')),
    ),
    encodeArray(
      uuid,
      rows.map(({ stream }) => stream),
    ),
    encodeArray(
      int8,
      rows.map(({ sequence }) => sequence),
    ),
    encodeArray(
      text,
      rows.map(({ subject }) => subject),
    ),
    encodeArray(
      text,
      rows.map((row) => row.text),
    ),
    encodeArray(
      timestamptz,
      rows.map(({ madeAt }) => madeAt),
    ),
  ])
}

/** What travels beside records that a spool has delivered. */
export function disclosedOf(records: readonly ProjectedRecord[]): DisclosedRecord[] {
  return records.flatMap(({ stream, sequence, columns, disclosures }) => {
    if (disclosures === undefined) return []
    const { list } = decodeDisclosures(disclosures.toString('utf8'))
    return [{ stream, sequence, disclosures: list, madeAt: columns.recorded_at }]
  })
}

/** As `appendRecords`, with what travels beside the records: all of it in one transaction, or nothing. */
export async function appendDisclosing(
  client: Queryable,
  records: readonly ProjectedRecord[],
  after?: RecordNumber,
): Promise<AppendOutcome[]> {
  await client.query("begin; set local idle_in_transaction_session_timeout = '30s'")
  try {
    const outcomes = await appendRecords(client, encodeRecords(records), after)
    const refused = new Set(outcomes.filter(({ status }) => status !== 'appended').map(({ stream }) => stream))
    await storeDisclosures(client, disclosedOf(records.filter(({ stream }) => !refused.has(stream))))
    await client.query('commit')
    return outcomes
  } catch (thrown) {
    await client.query('rollback').catch(() => undefined) // the thrown error is the one to hear of
    throw thrown
  }
}

/** Removes the disclosures of records that retention has removed: nobody keeps them longer than their record. */
export async function pruneDisclosures(client: Queryable): Promise<void> {
  await client.query(
    `delete from audit.disclosure d using audit.partition p
     where p.removed_at is null and p.sealed_at is not null and d.stream = p.stream and d.seq between p.from_seq and p.to_seq
       and not exists (select from audit.record r where r.stream = d.stream and r.seq = d.seq)`,
  )
}

/** A stored disclosure, as base64url: what it is filed under, and the digest that its text gives. */
export interface StoredDigest {
  readonly digest: string
  readonly found: string
}

/** Whether this user may see which commitments are disclosed. False where the schema is older. */
export async function seesDigests(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ sees: boolean | null }>(
    `select has_table_privilege(to_regclass('audit.disclosure_digest'), 'select') as sees`,
  )
  return rows[0]?.sees === true
}

/** What is disclosed of the records of a stream behind one number up to another, by number. */
export async function readDigestsBetween(
  client: Queryable,
  { stream, behind, to }: { readonly stream: string; readonly behind: bigint; readonly to: bigint },
): Promise<ReadonlyMap<number, readonly StoredDigest[]>> {
  const { rows } = await client.query<{ seq: string; digest: Buffer; found: Buffer }>(
    `select d.seq, d.digest, d.found from audit.disclosure_digest d
     where d.stream = $1 and d.seq > $2::bigint and d.seq <= $3::bigint`,
    [stream, behind, to],
  )
  const byRecord = new Map<number, StoredDigest[]>()
  for (const { seq, digest, found } of rows) {
    const own = byRecord.get(Number(seq)) ?? []
    own.push({ digest: digest.toString('base64url'), found: found.toString('base64url') })
    byRecord.set(Number(seq), own)
  }
  return byRecord
}

/** Personal values by pointer, by `stream/sequence`. */
export type DisclosedValues = ReadonlyMap<string, JsonObject>

/** The personal values that these records commit to. Rejects for a user that may not see them. */
export async function readValues(
  client: Queryable,
  places: readonly { readonly stream: string; readonly sequence: number }[],
): Promise<DisclosedValues> {
  const { rows } = await client.query<{ stream: string; seq: string; disclosure: string }>(
    `select d.stream, d.seq, d.disclosure from audit.disclosure d
     join unnest($1::uuid[], $2::bigint[]) as u (stream, seq) on d.stream = u.stream and d.seq = u.seq`,
    [places.map(({ stream }) => stream), places.map(({ sequence }) => sequence)],
  )
  const byRecord = new Map<string, JsonObject>()
  for (const { stream, seq, disclosure } of rows) {
    const said = readDisclosure(disclosure)
    if (said === undefined) continue
    const own = byRecord.get(`${stream}/${seq}`) ?? {}
    setMember(own, said.pointer, said.value)
    byRecord.set(`${stream}/${seq}`, own)
  }
  return byRecord
}

/** Those of these commitments that are disclosed. */
export async function readStoredDigests(client: Queryable, digests: readonly string[]): Promise<string[]> {
  if (!(await seesDigests(client))) return []
  const { rows } = await client.query<{ digest: Buffer }>(
    'select digest from audit.disclosure_digest where digest = any($1::bytea[])',
    [digests.map((digest) => Buffer.from(digest, 'base64url'))],
  )
  return rows.map(({ digest }) => digest.toString('base64url'))
}
