/** What somebody with all rights over the database could try: each on a copy of it. */

import type { Finding } from 'otel-audit'
import { queryOnce } from '../../test/support/postgres.ts'
import { verify } from '../demo/verification.ts'

export interface Forgery {
  /** Where the record is. */
  readonly sequence: number
  readonly findings: readonly Finding[]
}

const unguard = `set session_replication_role = replica;
  alter table audit.record disable trigger user; alter table audit.stream_head disable trigger user;`

/** The newest refusal becomes a success. */
export function editRecord(url: string, verifierKey: string): Promise<Forgery> {
  return forge(url, verifierKey, {
    name: 'edited',
    statement: `update audit.record set outcome = 'success',
      record = convert_to(replace(convert_from(record, 'UTF8'), '"denied"', '"success"'), 'UTF8')
      where (stream, seq) = (select stream, seq from chosen)`,
  })
}

/** … or was never there. */
export function removeRecord(url: string, verifierKey: string): Promise<Forgery> {
  const statement = 'delete from audit.record where (stream, seq) = (select stream, seq from chosen)'
  return forge(url, verifierKey, { name: 'removed', statement })
}

async function forge(
  url: string,
  verifierKey: string,
  { name, statement }: { name: string; statement: string },
): Promise<Forgery> {
  const [database] = await queryOnce(url, 'select current_database() as name')
  const copy = new URL(url)
  copy.pathname = `${database?.name}_${name}`
  const [from, to] = [url, copy.href].map((each) => new URL(each).pathname.slice(1))
  await queryOnce(new URL('/template1', url).href, `create database "${to}" template "${from}"`)
  try {
    const chosen = `create temporary table chosen as select stream, seq from audit.event
      where action = 'grant.issue' and outcome = 'denied' order by recorded_at desc, seq desc limit 1`
    await queryOnce(copy.href, `${unguard} ${chosen}; ${statement}`)
    const [place] = await queryOnce(url, `select seq from (${chosen.replace(/^create.*? as /, '')}) as chosen`)
    const { sources } = await verify([copy.href], verifierKey)
    const findings = sources[0]?.findings ?? []
    return { sequence: Number(place?.seq), findings }
  } finally {
    await queryOnce(new URL('/template1', url).href, `drop database "${to}" with (force)`)
  }
}
