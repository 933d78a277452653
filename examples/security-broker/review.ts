/** What an auditor asks the database: does state agree with its events, and does each event say what it must? */

import { queryOnce } from '../../test/support/postgres.ts'

/** State, and the events that say that it came to be. Each must be there as often as the other. */
const pairs: readonly { readonly state: string; readonly events: string }[] = [
  { state: 'select id from session', events: "target_id::uuid from audit.event where action = 'session.create'" },
  {
    state: 'select id from access_grant',
    events: "(event ->> 'grant')::uuid from audit.event where action = 'grant.issue'",
  },
  {
    state: 'select id from access_grant where revoked_at is not null',
    events: "(event ->> 'grant')::uuid from audit.event where action = 'grant.revoke'",
  },
  {
    state: 'select id from execution',
    events: "(event -> 'target' ->> 'execution')::uuid from audit.event where action = 'proxy.execute'",
  },
]

/** State without an event, and events of no state. */
export async function countDisagreements(url: string): Promise<number> {
  const each = pairs.map(({ state, events }) => {
    const recorded = `select ${events} and outcome = 'success'`
    return `(select count(*) from ((${state}) except all (${recorded})) as lacking)
      + (select count(*) from ((${recorded}) except all (${state})) as surplus)`
  })
  const [row] = await queryOnce(url, `select ${each.join(' + ')} as count`)
  return Number(row?.count)
}

/** What every event of the broker must say; a grant where one was given. */
const required = [
  ...['action', 'timestamp', 'recorded', 'tenant', 'session', 'actor', 'outcome', 'v', 'schema', 'correlation_id'].map(
    (member) => `event -> '${member}'`,
  ),
  ...['id', 'source_ip'].map((member) => `event -> 'request' -> '${member}'`),
  `case when action in ('grant.revoke', 'proxy.execute') or action || outcome = 'grant.issuesuccess'
     then event -> 'grant' else 'true' end`,
]

/** Events that lack a member, or were found to be unlike the catalogue. */
export async function countIncomplete(url: string): Promise<number> {
  const [row] = await queryOnce(
    url,
    `select count(*) as count from audit.event
     where num_nulls(${required.join(', ')}) > 0 or event ? 'validation'`,
  )
  return Number(row?.count)
}

/** Events by what was done and how it ended. */
export async function countEvents(url: string): Promise<Record<string, number>> {
  const rows = await queryOnce(
    url,
    `select action || ' ' || outcome as what, count(*) as count from audit.event group by 1 order by 1`,
  )
  return Object.fromEntries(rows.map(({ what, count }) => [String(what), Number(count)]))
}

/** The ids of a kind of state that are not there. */
export async function countMissing(url: string, table: string, ids: readonly string[]): Promise<number> {
  const [row] = await queryOnce(
    url,
    `select count(*) as count from unnest($1::uuid[]) as confirmed (id)
     where not exists (select from ${table} t where t.id = confirmed.id)`,
    [ids],
  )
  return Number(row?.count)
}

/** Every record, as it was sealed, in order. */
export async function readTrail(url: string): Promise<string[]> {
  const rows = await queryOnce(
    url,
    `select convert_from(record, 'UTF8') as record from audit.record order by recorded_at, stream, seq`,
  )
  return rows.map(({ record }) => String(record))
}
