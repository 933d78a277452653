/**
 * Erasing the disclosures of a person, in this order, each step durable before the next:
 *
 *   1. from now on nothing of the subject that was made before now is taken, however late it is delivered
 *   2. disclosures are deleted in batches; the transaction that deletes one notes its digest in `audit.erasure`
 *   3. `audit.erased` is sealed for noted digests and has arrived in this database: `sealed_at`
 *
 * Killed anywhere, the next run goes on; nothing is sealed as erased that is still there. What a legal hold keeps stays.
 */

import type { Queryable } from './client.ts'
import { isHeld, keepsRow } from './hold.ts'
import type { Difference } from './inspect.ts'

/** Digests that one record `audit.erased` names at most; 1,000 would fill it. */
const digestsMax = 500

/** What there is to erase. */
export interface ErasurePlan {
  readonly disclosures: number
  /** Records that commit to them. */
  readonly records: number
  /** Events in the outbox whose values are not stored yet. */
  readonly outbox: number
  /** Legal holds that keep a record among them, by number. */
  readonly holds: readonly number[]
}

/** What there is under these pseudonyms. Changes nothing. */
export async function planErasure(client: Queryable, subjects: readonly string[]): Promise<ErasurePlan> {
  const { rows } = await client.query<{ disclosures: string; records: string; outbox: string; holds: string[] }>(
    `select count(*) as disclosures, count(distinct (d.stream, d.seq)) as records,
       (select count(*) from audit.outbox o where exists (
          select from unnest($1::text[]) as s (subject) where position(convert_to(s.subject, 'UTF8') in o.event) > 0
       )) as outbox,
       array(select h.id from audit.legal_hold h where exists (
          select from audit.disclosure d join audit.record r on r.stream = d.stream and r.seq = d.seq
          where d.subject = any($1) and ${keepsRow}
       ) order by h.id) as holds
     from audit.disclosure d where d.subject = any($1)`,
    [subjects],
  )
  const [found] = rows
  return {
    disclosures: Number(found?.disclosures ?? 0),
    records: Number(found?.records ?? 0),
    outbox: Number(found?.outbox ?? 0),
    holds: (found?.holds ?? []).map(Number),
  }
}

/**
 * Takes nothing of these subjects any more that was made before now. Waits for writers that have not seen it: what they
 * store is there to be erased when this resolves.
 */
export async function refuseSubjects(client: Queryable, subjects: readonly string[]): Promise<void> {
  await inTransaction(client, async () => {
    await client.query("select pg_advisory_xact_lock(hashtextextended('audit.disclosure', 0))")
    await client.query(
      `insert into audit.erased_subject (subject_digest, made_before)
       select distinct sha256(convert_to(s.subject, 'UTF8')), clock_timestamp() from unnest($1::text[]) as s (subject)
       on conflict (subject_digest) do update set made_before = excluded.made_before`,
      [subjects],
    )
  })
}

/** Deletes a batch of what no hold keeps; how many. */
export async function eraseBatch(client: Queryable, subjects: readonly string[]): Promise<number> {
  return inTransaction(client, async () => {
    const { rows } = await client.query<{ erased: string }>(
      `with gone as (
         select d.digest, d.stream, d.seq from audit.disclosure d
         where d.subject = any($1) and not exists (
           select from audit.record r where r.stream = d.stream and r.seq = d.seq and ${isHeld})
         limit ${digestsMax} for update of d
       ), noted as (
         insert into audit.erasure (digest, stream, seq) select digest, stream, seq from gone
         on conflict do nothing
       ) select count(*) as erased from gone`,
      [subjects],
    )
    const count = Number(rows[0]?.erased ?? 0)
    // A statement of its own, so that the guard of the table sees what was noted.
    const erase =
      'delete from audit.disclosure d using audit.erasure e where d.subject = any($1) and e.digest = d.digest'
    if (count > 0) await client.query(erase, [subjects])
    return count
  })
}

/** Digests of what was erased and is not sealed, base64url as records have them: as many as one record may name. */
export async function readUnsealed(client: Queryable): Promise<string[]> {
  const { rows } = await client.query<{ digest: Buffer }>(
    'select digest from audit.erasure where sealed_at is null order by digest limit $1',
    [digestsMax],
  )
  return rows.map(({ digest }) => digest.toString('base64url'))
}

/** For `doctor`: values that are gone for more than a minute, and no record in the database says so. */
export async function inspectErasures(client: Queryable): Promise<Difference[]> {
  const { rows } = await client.query<{ count: string; since: string | null }>(
    `select count(*) as count, to_char(min(erased_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
     from audit.erasure where sealed_at is null and erased_at < now() - interval '1 minute'`,
  )
  const { count = '0', since } = rows[0] ?? {}
  if (count === '0') return []
  const found = `${count} ${count === '1' ? 'value was' : 'values were'} erased since ${since}, and nothing says so`
  return [{ kind: 'erasure', object: 'audit.erasure', expected: 'a record audit.erased for every erased value', found }]
}

/** A record `audit.erased` that names these has arrived. */
export async function markErased(client: Queryable, digests: readonly string[]): Promise<void> {
  await client.query(
    'update audit.erasure set sealed_at = now() where digest = any($1::bytea[]) and sealed_at is null',
    [digests.map((digest) => Buffer.from(digest, 'base64url'))],
  )
}

async function inTransaction<Result>(client: Queryable, act: () => Promise<Result>): Promise<Result> {
  await client.query('begin')
  try {
    await client.query(
      `select set_config('lock_timeout', '30s', true), case when current_setting('synchronous_commit') <> 'remote_apply'
         then set_config('synchronous_commit', 'on', true) end`,
    )
    const result = await act()
    await client.query('commit')
    return result
  } catch (thrown) {
    await client.query('rollback').catch(() => undefined) // the thrown error is the one to hear of
    throw thrown
  }
}
